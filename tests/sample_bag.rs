//! `bags/tableworld`, the recording that comes with the project: complete, small, and what `lisa world` makes today.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test or benchmark that cannot go on says so by panicking

use std::collections::BTreeMap;
use std::path::Path;

use lisa_messages::{Instruction, QUESTION_KINDS};
use rosbag2::{Bag, CameraInfo, CompressedImage, Image, RawMessage, Selection, TFMessage, Time};
use tableworld::formats::{write_dataset, Format, Images, Options, Order, Recording};
use tableworld::language::QuestionKind;
use tableworld::Split;

const FIRST: u64 = 20;
const SCENES: usize = 24;
const IMAGES: &str = "/camera/image_raw/compressed";
const INSTRUCTIONS: &str = "/instruction_stamped";
const MASKS: &str = "/ground_truth/mask";
const BOXES: &str = "/ground_truth/boxes";

fn sample() -> Bag {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bags/tableworld");
    let bag = Bag::open(folder).unwrap();
    assert!(bag.notes().is_empty(), "{:?}", bag.notes());
    bag
}

fn read(bag: &Bag, topic: &str) -> Vec<RawMessage> {
    let messages = bag.messages(&Selection::all().topics([topic])).unwrap();
    messages.map(|message| message.unwrap()).collect()
}

#[test]
fn it_holds_a_frame_an_instruction_and_its_mask_of_each_scene() {
    let bag = sample();
    let topics: Vec<_> = bag
        .topics()
        .iter()
        .map(|t| (t.name.as_str(), t.messages))
        .collect();
    let mut expected = [
        "/tf",
        IMAGES,
        "/camera/camera_info",
        "/camera/depth/image",
        INSTRUCTIONS,
        MASKS,
        BOXES,
    ]
    .map(|name| (name, SCENES as u64));
    expected.sort();
    let mut sorted = topics;
    sorted.sort();
    assert_eq!(sorted, expected);

    // It says which kinds of questions it asks, so that a report can count them apart.
    let custom = bag.metadata().unwrap().custom_data.clone().unwrap();
    let all = QuestionKind::ALL.map(QuestionKind::name).join(" ");
    assert_eq!(custom.get(QUESTION_KINDS), Some(&all));
    let mut kinds = BTreeMap::new();
    let [images, infos, depths, tfs, instructions, masks] = [
        IMAGES,
        "/camera/camera_info",
        "/camera/depth/image",
        "/tf",
        INSTRUCTIONS,
        MASKS,
    ]
    .map(|topic| read(&bag, topic));
    for i in 0..SCENES {
        let instruction: Instruction = bag.decode(&instructions[i]).unwrap();
        let stamp = instruction.header.stamp;
        let image: CompressedImage = bag.decode(&images[i]).unwrap();
        let info: CameraInfo = bag.decode(&infos[i]).unwrap();
        let depth: Image = bag.decode(&depths[i]).unwrap();
        let mask: Image = bag.decode(&masks[i]).unwrap();
        let tf: TFMessage = bag.decode(&tfs[i]).unwrap();
        let stamps: [Time; 5] = [
            image.header.stamp,
            info.header.stamp,
            depth.header.stamp,
            mask.header.stamp,
            tf.transforms[0].header.stamp,
        ];
        assert_eq!(stamps, [stamp; 5]);
        assert!(instructions[i].log_time > stamp.nanoseconds() as u64);

        let size = (info.width, info.height);
        assert_eq!(size, (640, 480));
        assert_eq!((mask.width, mask.height), size);
        assert_eq!((depth.width, depth.height), size);
        assert_eq!(mask.data.len(), 640 * 480);
        let picture = image::load_from_memory(&image.data).unwrap();
        assert_eq!((picture.width(), picture.height()), size);

        let kind = instruction
            .id
            .strip_prefix(&format!("test_{:09}_", FIRST + i as u64));
        let kind = QuestionKind::parse(kind.unwrap()).unwrap();
        let nothing = mask.data.iter().all(|&value| value == 0);
        assert_eq!(nothing, kind == QuestionKind::Absent, "{}", instruction.id);
        *kinds.entry(kind.name()).or_insert(0) += 1;
    }
    // Each kind that is asked in one turn, as often as the others.
    assert_eq!(kinds.into_values().collect::<Vec<_>>(), [4; 6]);
}

#[test]
fn it_takes_six_megabytes_at_most() {
    let bag = sample();
    let metadata = std::fs::metadata(bag.path().join("metadata.yaml")).unwrap();
    let files: u64 = bag.files().iter().map(|file| file.bytes).sum();
    let bytes = files + metadata.len();
    assert!(bytes <= 6_000_000, "{bytes}");
}

/// Another machine's sine may round a bit differently, so a few pixels of an edge and a level here and there may differ; another
/// scene, question, view, quality or renderer fails.
#[test]
fn it_is_what_lisa_world_makes_today() {
    let seed = 36;
    let out = tempfile::tempdir().unwrap();
    let order = Order {
        formats: &[Format::Rosbag],
        split: Split::Test,
        seed0: seed,
        count: 1,
        width: 640,
        height: 480,
    };
    let options = Options {
        recording: Recording {
            images: Images::Jpeg,
            ..Recording::default()
        },
        ..Options::default()
    };
    let summary = write_dataset(&order, out.path(), &options, &|_| ()).unwrap();
    let (shipped, today) = (sample(), Bag::open(&summary.made[0].path).unwrap());
    let place = (seed - FIRST) as usize;
    let pair = |topic| {
        (
            read(&shipped, topic).swap_remove(place),
            read(&today, topic).swap_remove(0),
        )
    };
    let again = "run scripts/sample_bag.sh";

    let (before, now) = pair(INSTRUCTIONS);
    let before: Instruction = shipped.decode(&before).unwrap();
    let now: Instruction = today.decode(&now).unwrap();
    assert_eq!((before.id, before.text), (now.id, now.text), "{again}");

    let (before, now) = pair(MASKS);
    let before: Image = shipped.decode(&before).unwrap();
    let now: Image = today.decode(&now).unwrap();
    assert_eq!((before.width, before.height), (now.width, now.height));
    assert_eq!(before.data.len(), now.data.len());
    let set = before.data.iter().filter(|value| **value > 0).count();
    assert!(
        set > 100,
        "a scene with something to compare, not {set} pixels"
    );
    let differ = before
        .data
        .iter()
        .zip(now.data.iter())
        .filter(|(a, b)| a != b);
    assert!(differ.count() <= 10, "{again}");

    let (before, now) = pair(IMAGES);
    let before: CompressedImage = shipped.decode(&before).unwrap();
    let now: CompressedImage = today.decode(&now).unwrap();
    assert_eq!(before.format, now.format);
    if before.data != now.data {
        let pixels = |jpeg: &[u8]| image::load_from_memory(jpeg).unwrap().to_rgb8().into_raw();
        let (before, now) = (pixels(&before.data), pixels(&now.data));
        assert_eq!(before.len(), now.len());
        let sum: u64 = before
            .iter()
            .zip(&now)
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum();
        let mean = sum as f64 / before.len() as f64;
        assert!(mean < 0.05, "pictures differ by {mean} levels; {again}");
    }
}
