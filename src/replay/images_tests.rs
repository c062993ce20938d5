use rosbag2::{BagWriter, NewTopic, StringMessage, Time, TopicId, WriterOptions};
use tempfile::TempDir;

use super::*;
use crate::image::encode_png;

fn header() -> Header {
    Header {
        stamp: Time {
            sec: 3,
            nanosec: 500_000_000,
        },
        frame_id: "camera".into(),
    }
}

fn image(encoding: &str, bytes_per_pixel: u32, data: &[u8]) -> Image<'static> {
    Image {
        header: header(),
        height: 1,
        width: 2,
        encoding: encoding.into(),
        is_bigendian: 0,
        step: 2 * bytes_per_pixel,
        data: data.to_vec().into(),
    }
}

fn rgb() -> Image<'static> {
    image("rgb8", 3, &[1, 2, 3, 4, 5, 6])
}

fn png() -> CompressedImage<'static> {
    let pixels = RgbImage::from_raw(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
    CompressedImage {
        header: header(),
        format: "rgb8; png compressed ".into(),
        data: encode_png(&Pixels::Rgb(pixels)).unwrap().into(),
    }
}

fn add<'a, T: Message<'a>>(writer: &mut BagWriter, name: &str) -> TopicId {
    writer.add_topic(NewTopic::of::<T>(name)).unwrap()
}

/// A bag with one message on each topic.
fn bag(write: impl FnOnce(&mut BagWriter)) -> (TempDir, Bag) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bag");
    let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
    write(&mut writer);
    writer.finish().unwrap();
    let bag = Bag::open(&path).unwrap();
    (folder, bag)
}

fn raw(writer: &mut BagWriter, name: &str, image: &Image<'static>) {
    let topic = add::<Image>(writer, name);
    writer.write_message(topic, 7, image).unwrap();
}

fn compressed(writer: &mut BagWriter, name: &str, image: &CompressedImage<'static>) {
    let topic = add::<CompressedImage>(writer, name);
    writer.write_message(topic, 7, image).unwrap();
}

fn messages(bag: &Bag) -> Vec<RawMessage> {
    let messages = bag.messages(&Selection::all()).unwrap();
    messages.collect::<Result<_, _>>().unwrap()
}

#[test]
fn the_only_camera_is_found_among_what_looks_like_one() {
    let (_folder, bag) = bag(|writer| {
        raw(writer, "/camera/depth/image", &image("16UC1", 2, &[0; 4]));
        raw(writer, "/camera/range", &image("32FC1", 4, &[0; 8]));
        raw(writer, "/ground_truth/mask", &image("mono8", 1, &[0; 2]));
        raw(writer, "/lisa/overlay", &rgb());
        raw(writer, "/lisa/attention", &rgb());
        add::<Image>(writer, "/camera/silent");
        raw(writer, "/camera/image", &rgb());
        compressed(writer, "/camera/image/compressed", &png());
    });
    let camera = image_topic(&bag, None).unwrap();
    assert_eq!(camera.name, "/camera/image");
    assert!(!camera.compressed);
    let mask = image_topic(&bag, Some("/ground_truth/mask")).unwrap();
    assert_eq!(mask.name, "/ground_truth/mask");
    assert_eq!(image_topics(&bag).len(), 8);
}

#[test]
fn two_cameras_are_not_chosen_between_and_none_is_not_made_up() {
    let (_folder, two) = bag(|writer| {
        raw(writer, "/left", &rgb());
        compressed(writer, "/right/compressed", &png());
    });
    let error = image_topic(&two, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the bag has pictures on 2 topics, so name one: /left, /right/compressed"
    );
    let (_folder, none) = bag(|writer| {
        let topic = add::<StringMessage>(writer, "/instruction");
        let text = StringMessage { data: "hi".into() };
        writer.write_message(topic, 7, &text).unwrap();
        raw(writer, "/depth", &image("16UC1", 2, &[0; 4]));
    });
    let error = image_topic(&none, None).unwrap_err().to_string();
    assert!(error
        .ends_with("it has: /instruction (std_msgs/msg/String), /depth (sensor_msgs/msg/Image)"));
    let error = image_topic(&none, Some("/instruction")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/instruction is of type std_msgs/msg/String; accepted: sensor_msgs/msg/Image, \
         sensor_msgs/msg/CompressedImage (of these the bag has: /depth)"
    );
    let error = image_topic(&none, Some("/x")).unwrap_err().to_string();
    assert_eq!(
        error,
        "no topic /x in the bag; it has: /instruction, /depth"
    );
}

#[test]
fn both_types_become_the_same_picture_with_its_header() {
    let (_folder, bag) = bag(|writer| {
        raw(writer, "/raw", &rgb());
        compressed(writer, "/compressed", &png());
    });
    for message in messages(&bag) {
        let decoded = decode_image(&bag, &message).unwrap();
        assert_eq!(decoded.header, header());
        assert_eq!(decoded.stamp(), 3_500_000_000);
        assert_eq!(decoded.pixels.as_raw(), &[1, 2, 3, 4, 5, 6]);
    }
}

#[test]
fn depth_keeps_its_bits_and_is_no_picture() {
    let (_folder, bag) = bag(|writer| {
        raw(writer, "/depth", &image("16UC1", 2, &[1, 2, 0, 0]));
    });
    let message = &messages(&bag)[0];
    let depth = raw_image(&bag, message).unwrap();
    assert_eq!(depth.encoding, "16UC1");
    let Pixels::Depth(pixels) = depth.pixels else {
        panic!("not depth");
    };
    assert_eq!(pixels.as_raw(), &[513, 0]);
    let error = decode_image(&bag, message).unwrap_err().to_string();
    assert_eq!(
        error,
        "/depth at 7 ns: a depth map (16UC1, millimetres), not a picture; accepted: a camera's pictures, in colour or gray"
    );
}

#[test]
fn a_topic_of_depth_is_refused_where_a_camera_is_needed() {
    let depth = |format: &str, before: usize| CompressedImage {
        format: format.into(),
        data: [vec![0; before], png().data.to_vec()].concat().into(),
        ..png()
    };
    let rvl = CompressedImage {
        format: "16UC1; compressedDepth rvl".into(),
        data: vec![0; 60].into(),
        ..png()
    };
    let (_folder, bag) = bag(|writer| {
        raw(writer, "/mm", &image("16UC1", 2, &[0; 4]));
        raw(writer, "/m", &image("32FC1", 4, &[0; 8]));
        compressed(writer, "/png", &depth("16UC1; compressedDepth png", 12));
        compressed(writer, "/bare", &depth("16UC1; compressedDepth png", 0));
        compressed(writer, "/unnamed", &depth("png", 12));
        compressed(writer, "/rvl", &rvl);
        raw(writer, "/camera", &rgb());
    });
    for (topic, kind) in [
        ("/mm", "16UC1, millimetres"),
        ("/m", "32FC1, metres"),
        (
            "/png",
            "compressedDepth: 16UC1, millimetres, as PNG behind its header of 12 bytes",
        ),
        (
            "/bare",
            "compressedDepth: 16UC1, millimetres, as PNG without its header of 12 bytes",
        ),
        (
            "/unnamed",
            "compressedDepth: 16UC1, millimetres, as PNG behind its header of 12 bytes",
        ),
        ("/rvl", "compressedDepth: 16UC1, millimetres, as RVL"),
    ] {
        let error = camera_topic(&bag, Some(topic)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{topic} holds depth maps ({kind}), not pictures; accepted: a camera's topic (the bag has: /camera). \
                 `lisa bag extract` writes depth to files"
            )
        );
        assert!(image_topic(&bag, Some(topic)).is_ok());
    }
    // None of them is taken for a camera.
    assert_eq!(camera_topic(&bag, None).unwrap().name, "/camera");
}

#[test]
fn a_file_comes_out_as_it_went_in() {
    let mut parameters = vec![0; 12];
    parameters.extend_from_slice(&png().data);
    let depth = |format: &str| CompressedImage {
        format: format.into(),
        data: parameters.clone().into(),
        ..png()
    };
    let (_folder, bag) = bag(|writer| {
        compressed(writer, "/png", &png());
        compressed(writer, "/depth", &depth("16UC1; compressedDepth png"));
        compressed(writer, "/metres", &depth("32FC1; compressedDepth png"));
        let bare = CompressedImage {
            format: "16UC1; compressedDepth png".into(),
            ..png()
        };
        compressed(writer, "/bare", &bare);
    });
    let messages = messages(&bag);
    for (message, is_depth) in messages.iter().zip([false, true]) {
        let file = image_file(&bag, message).unwrap();
        assert_eq!((file.format, file.depth), (PictureFormat::Png, is_depth));
        assert!(file.bytes == png().data && file.header == header());
    }
    let error = image_file(&bag, &messages[2]).unwrap_err().to_string();
    assert!(error.starts_with(
        "/metres at 7 ns: a depth map that is no file of its own (compressedDepth: 32FC1, metres, quantized, as PNG"
    ));
    // Some publishers leave the header out.
    let bare = image_file(&bag, &messages[3]).unwrap();
    assert!(bare.depth && bare.bytes == png().data);
}

#[test]
fn what_cannot_be_decoded_is_named_with_its_message() {
    let (_folder, bag) = bag(|writer| {
        raw(writer, "/short", &image("rgb8", 3, &[1, 2, 3]));
        let cut = CompressedImage {
            data: vec![0xff, 0xd8, 0xff, 0xe0].into(),
            format: "jpeg".into(),
            ..png()
        };
        compressed(writer, "/cut", &cut);
        let text = add::<StringMessage>(writer, "/text");
        writer.write(text, 7, &[0, 1, 0, 0]).unwrap();
    });
    let errors: Vec<String> = messages(&bag)
        .iter()
        .map(|message| decode_image(&bag, message).unwrap_err().to_string())
        .collect();
    assert!(errors[0].starts_with("/short at 7 ns: data holds 3 bytes"));
    assert!(errors[1].starts_with("/cut at 7 ns: the compressed image cannot be decoded"));
    assert!(errors[2].starts_with("/text is of type std_msgs/msg/String"));
}
