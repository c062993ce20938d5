//! Bags of scenes, read back.

mod frame_messages;

use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use lisa_messages::{Detection3DArray, Instruction};
use rosbag2::{Bag, CompressedImage, Image, Message};

use self::frame_messages::{asked, frame_messages, inside, raw, SIZE};
use super::recording::DELAY;
use super::*;
use crate::formats::testing::{annotated, HEIGHT, WIDTH};
use crate::formats::{write_dataset, write_scenes, AnnotatedScene, Options, Order};
use crate::language::QuestionKind;
use crate::Split;

fn order(split: Split, seed0: u64, count: usize, (width, height): (u32, u32)) -> Order<'static> {
    Order {
        formats: &[Format::Rosbag],
        split,
        seed0,
        count,
        width,
        height,
    }
}

fn options(recording: Recording) -> Options {
    Options {
        recording,
        ..Options::default()
    }
}

fn moving(frames: u32, rate: f64) -> Recording {
    Recording {
        frames,
        rate,
        ..Recording::new(CameraMotion::Moving)
    }
}

/// Writes a bag of rendered scenes and opens it.
fn bag(folder: &Path, order: &Order, recording: Recording) -> Bag {
    let summary = write_dataset(order, folder, &options(recording), &|_| ()).unwrap();
    let bag = Bag::open(&summary.made[0].path).unwrap();
    assert!(bag.notes().is_empty(), "{:?}", bag.notes());
    assert_eq!(bag.message_count(), summary.made[0].items as u64);
    bag
}

#[test]
fn frames_and_what_is_asked_about_them_come_in_time() {
    let out = tempfile::tempdir().unwrap();
    let order = order(Split::Val, 3, 2, (WIDTH, HEIGHT));
    let options = Options::default();
    let summary = write_scenes(&order, out.path(), &options, &annotated, &|_| ()).unwrap();
    assert_eq!(summary.made[0].items, 14);
    let root = out.path().join("rosbag/val");
    assert_eq!(Bag::open(&root).unwrap().message_count(), 14);
    let bytes = std::fs::read(root.join("val_0.mcap")).unwrap();
    let messages = mcap::MessageStream::new(&bytes).unwrap();
    let messages: Vec<_> = messages.map(|message| message.unwrap()).collect();
    let topics: Vec<_> = messages.iter().map(|m| m.channel.topic.as_str()).collect();
    let expected = [
        "/tf",
        "/camera/image_raw",
        "/camera/camera_info",
        "/camera/depth/image",
        "/ground_truth/boxes",
        "/instruction_stamped",
        "/ground_truth/mask",
    ];
    assert_eq!(topics, [expected, expected].concat());
    let second = &messages[7..];
    assert_eq!(second[0].log_time - messages[0].log_time, SECOND);
    assert_eq!(second[5].log_time - second[0].log_time, DELAY);
    // Scene 4 is asked a question of the fifth kind.
    let frame = annotated(4).frame;
    assert!(second[1].data.ends_with(frame.image.as_raw()));
    let instruction = Instruction::from_cdr(&second[5].data).unwrap();
    assert_eq!(instruction.text, "the dishes");
    assert_eq!(instruction.id, "val_000000004_several");
    let dishes = frame.instances.iter().map(|id| match id {
        1 | 2 => 255,
        _ => 0,
    });
    assert!(second[6].data.ends_with(&dishes.collect::<Vec<u8>>()));
    let definition = &messages[5].channel.schema.as_ref().unwrap().data;
    let definition = String::from_utf8(definition.to_vec()).unwrap();
    assert!(definition.contains("string text") && definition.contains("MSG: std_msgs/Header"));
}

#[test]
fn objects_lie_where_tf_and_camera_info_put_them() {
    let out = tempfile::tempdir().unwrap();
    for (motion, frames) in [(CameraMotion::Still, 1), (CameraMotion::Moving, 3)] {
        let recording = Recording {
            frames,
            ..Recording::new(motion)
        };
        let bag = bag(out.path(), &order(Split::Test, 30, 6, SIZE), recording);
        let (mut on, mut all) = (0, 0);
        for (i, seen) in frame_messages(&bag).iter().enumerate() {
            let scene = Scene::sample(Split::Test, 30 + i as u64 / u64::from(frames));
            for object in &scene.objects {
                let (u, v, z) = seen.project(object.position.map(f64::from));
                assert!(z > 0.3, "{z}");
                let at = seen.at(u, v).unwrap();
                on += usize::from(inside(object, seen.point(at)));
                all += 1;
                if motion == CameraMotion::Still {
                    let (width, height) = SIZE;
                    let there = scene.camera.project(object.position, width, height);
                    let (expected_u, expected_v, _) = there.unwrap();
                    assert!((u - f64::from(expected_u)).abs() < 0.01);
                    assert!((v - f64::from(expected_v)).abs() < 0.01);
                }
            }
        }
        // The middle of the others is hidden, or a hole.
        assert!(all >= 20 && on * 10 >= all * 8, "{motion:?}: {on} of {all}");
    }
}

#[test]
fn a_moving_camera_sees_things_that_stand_still() {
    let out = tempfile::tempdir().unwrap();
    let (frames, scenes) = (4, 6);
    let order = order(Split::Test, 30, scenes, SIZE);
    let bag = bag(out.path(), &order, moving(frames as u32, 5.0));
    let seen = frame_messages(&bag);
    assert_eq!(seen.len(), frames * scenes);
    for pair in seen.windows(2) {
        let [a, b] = [&pair[0], &pair[1]];
        assert_eq!(b.stamp.nanoseconds() - a.stamp.nanoseconds(), 200_000_000);
        assert_ne!(a.picture, b.picture);
        let moved: f64 = (0..3)
            .map(|i| (a.position()[i] - b.position()[i]).powi(2))
            .sum();
        assert!(moved.sqrt() > 0.01, "{moved}");
    }
    let asked = asked(&bag);
    assert_eq!(asked.len(), scenes);
    let boxes = raw(&bag, "/ground_truth/boxes");
    assert_eq!(boxes.len(), frames * scenes);
    for (i, (instruction, mask)) in asked.iter().enumerate() {
        let number = 30 + i as u64;
        let annotated = AnnotatedScene::new(Split::Test, number, SIZE.0, SIZE.1);
        let dialogue = recording::question(number, &annotated.dialogues).unwrap();
        assert_eq!(instruction.id, recording::id(Split::Test, number, dialogue));
        let views = &seen[i * frames..][..frames];
        // The frame it is about is the scene's own view.
        let middle = &views[frames / 2];
        assert_eq!(instruction.header.stamp, middle.stamp);
        assert_eq!(&middle.picture, annotated.frame.image.as_raw());
        // The mask is that frame's: every pixel of it lies on what is asked for.
        let targets: Vec<_> = dialogue
            .targets()
            .iter()
            .map(|&i| &annotated.scene.objects[i])
            .collect();
        assert_eq!(mask.is_empty(), targets.is_empty(), "{}", instruction.id);
        // Every frame has the boxes of what is asked for, which stand still.
        for (view, message) in views.iter().zip(&boxes[i * frames..][..frames]) {
            let boxes: Detection3DArray = bag.decode(message).unwrap();
            assert_eq!(boxes.header.stamp, view.stamp);
            assert_eq!(boxes.header.frame_id, "table");
            let centres = boxes.detections.iter().map(|d| d.bbox.center.position);
            let centres: Vec<_> = centres.map(|at| [at.x, at.y, at.z]).collect();
            let expected = targets.iter().map(|target| target.position.map(f64::from));
            assert_eq!(centres, expected.collect::<Vec<_>>());
        }
        let points: Vec<_> = mask.iter().map(|&at| middle.point(at)).collect();
        // Every frame has a mask of its own; the middle one's is the one above.
        let in_frames = &raw(&bag, "/ground_truth/masks")[i * frames..][..frames];
        for (view, message) in views.iter().zip(in_frames) {
            let shown: Image = bag.decode(message).unwrap();
            assert_eq!(shown.header.stamp, view.stamp);
            let shown = shown
                .data
                .iter()
                .enumerate()
                .filter(|(_, value)| **value > 0);
            let shown: Vec<usize> = shown.map(|(at, _)| at).collect();
            for &at in &shown {
                let point = view.point(at);
                assert!(
                    targets.iter().any(|target| inside(target, point)),
                    "{point:?}"
                );
            }
            if view.stamp == middle.stamp {
                assert_eq!(&shown, mask);
            }
        }
        for &point in &points {
            assert!(
                targets.iter().any(|target| inside(target, point)),
                "{point:?}"
            );
        }
        // And the same things are there in every other frame, where tf says.
        for view in views {
            let there = points.iter().filter(|&&point| {
                let (u, v, _) = view.project(point);
                let seen = view.at(u, v).map(|at| view.point(at));
                seen.is_some_and(|seen| targets.iter().any(|target| inside(target, seen)))
            });
            let (there, all) = (there.count(), points.len());
            assert!(
                there * 10 >= all * 7,
                "{}: {there} of {all}",
                instruction.id
            );
        }
    }
}

#[test]
fn jpegs_are_the_raw_pictures_files() {
    let out = tempfile::tempdir().unwrap();
    let order = order(Split::Train, 8, 2, (160, 120));
    let recording = moving(2, 10.0);
    let plain = bag(&out.path().join("raw"), &order, recording);
    let jpeg = Recording {
        images: Images::Jpeg,
        ..recording
    };
    let packed = bag(&out.path().join("jpeg"), &order, jpeg);
    let size = |bag: &Bag| bag.files().iter().map(|file| file.bytes).sum::<u64>();
    assert!(size(&packed) * 3 < size(&plain));
    let pictures = raw(&plain, "/camera/image_raw");
    let files = raw(&packed, "/camera/image_raw/compressed");
    assert_eq!(pictures.len(), 4);
    for (picture, file) in pictures.iter().zip(&files) {
        assert_eq!(picture.log_time, file.log_time);
        let picture: Image = plain.decode(picture).unwrap();
        let file: CompressedImage = packed.decode(file).unwrap();
        assert_eq!(picture.header, file.header);
        assert_eq!(file.format, "rgb8; jpeg compressed bgr8");
        let pixels = image::RgbImage::from_raw(160, 120, picture.data.to_vec()).unwrap();
        let mut expected = Vec::new();
        JpegEncoder::new_with_quality(&mut expected, Options::default().jpeg_quality)
            .encode_image(&pixels)
            .unwrap();
        let decode = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().to_rgb8();
        assert_eq!(decode(&file.data), decode(&expected));
    }
    // Everything else is the same.
    let rest = [
        "/tf",
        "/camera/depth/image",
        "/ground_truth/mask",
        "/ground_truth/boxes",
    ];
    for topic in rest {
        let data = |bag| raw(bag, topic).into_iter().map(|m| m.data.to_vec());
        assert!(data(&plain).eq(data(&packed)), "{topic}");
    }
}

#[test]
fn all_kinds_take_their_turn_and_ids_name_them() {
    let out = tempfile::tempdir().unwrap();
    let options = Options::default();
    let order = order(Split::Train, 0, 36, (WIDTH, HEIGHT));
    write_scenes(&order, out.path(), &options, &annotated, &|_| ()).unwrap();
    let bag = Bag::open(out.path().join("rosbag/train")).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for (number, (instruction, mask)) in asked(&bag).into_iter().enumerate() {
        let parts: Vec<_> = instruction.id.split('_').collect();
        let [split, seed, kind] = parts.try_into().unwrap();
        assert_eq!((split, seed), ("train", format!("{number:09}").as_str()));
        let kind = QuestionKind::parse(kind).unwrap();
        assert_eq!(mask.is_empty(), kind == QuestionKind::Absent);
        assert_eq!(instruction.conversation_id, "");
        *counts.entry(kind).or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [6; 6]);
}

#[test]
fn messages_stand_in_the_order_in_which_they_are_heard() {
    let out = tempfile::tempdir().unwrap();
    let recording = Recording {
        rate: 30.0,
        ..Recording::default()
    };
    // More than one batch, and instructions that are heard three frames later.
    let order = order(Split::Val, 0, 70, (WIDTH, HEIGHT));
    write_scenes(&order, out.path(), &options(recording), &annotated, &|_| ()).unwrap();
    let bytes = std::fs::read(out.path().join("rosbag/val/val_0.mcap")).unwrap();
    let times = mcap::MessageStream::new(&bytes).unwrap();
    let times: Vec<_> = times.map(|message| message.unwrap().log_time).collect();
    assert_eq!(times.len(), 7 * 70);
    assert!(times.is_sorted());
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let order = order(Split::Val, 0, 1, (WIDTH, HEIGHT));
    for recording in [
        moving(0, 10.0),
        moving(201, 10.0),
        moving(5, 0.0),
        moving(5, f64::NAN),
    ] {
        let result = write_scenes(&order, out.path(), &options(recording), &annotated, &|_| ());
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains("accepted: 1 to 200 frames, 0.01 to 1000"),
            "{error}"
        );
    }
    assert!(!out.path().join("rosbag").exists());
}
