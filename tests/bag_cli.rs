//! `lisa bag info` and `extract`, as a shell runs them, on small bags.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use lisa::image::{encode_jpeg, read_image, Pixels};
use rosbag2::{
    Bag, BagWriter, ChunkCompression, CompressedImage, Compression, Definition, Header, Image,
    NewTopic, QosProfile, StringMessage, Time, WriterOptions,
};
use serde_json::Value;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;
const FRAMES: u64 = 10;

const COLOUR: &str = "/camera/image_raw";
const JPEG: &str = "/camera/image_raw/compressed";
const DEPTH: &str = "/camera/depth/image";
const METRES: &str = "/camera/depth/metres";
const MASK: &str = "/ground_truth/mask";
const TEXT: &str = "/instruction";

fn lisa(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lisa"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output of a command that succeeds.
fn done(arguments: &[&str]) -> String {
    let output = lisa(arguments);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    text(&output.stdout)
}

/// Standard error, a line each, of a command that fails.
fn failed(arguments: &[&str]) -> Vec<String> {
    let output = lisa(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    said.lines().map(str::to_owned).collect()
}

/// The same, of a command that has one thing to say.
fn failed_in_one_line(arguments: &[&str]) -> String {
    let lines = failed(arguments);
    let [line] = &lines[..] else {
        panic!("{arguments:?}: {lines:?}");
    };
    assert!(line.starts_with("lisa: ") && line.len() < 600, "{line}");
    line.clone()
}

fn colour(number: u64) -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| {
        Rgb([(x * 4) as u8, (y * 5) as u8, number as u8 * 20])
    })
}

fn mask(number: u64) -> GrayImage {
    GrayImage::from_fn(64, 48, |x, _| {
        Luma([if u64::from(x) < 6 * number { 255 } else { 0 }])
    })
}

fn depth(number: u64) -> ImageBuffer<Luma<u16>, Vec<u16>> {
    ImageBuffer::from_fn(64, 48, |x, y| Luma([(x * 1000 + y) as u16 + number as u16]))
}

fn header(number: u64) -> Header {
    Header {
        stamp: Time::from_nanoseconds((START + number * SECOND / 10) as i64),
        frame_id: "camera, optical".into(),
    }
}

fn jpeg(number: u64) -> Vec<u8> {
    encode_jpeg(&Pixels::Rgb(colour(number)), 90).unwrap()
}

fn raw(number: u64, encoding: &str, bytes_per_pixel: u32, data: Vec<u8>) -> Image<'static> {
    Image {
        header: header(number),
        height: 48,
        width: 64,
        encoding: encoding.into(),
        is_bigendian: 0,
        step: 64 * bytes_per_pixel,
        data: data.into(),
    }
}

/// Ten frames a second on each topic.
fn write(folder: &Path, name: &str, options: WriterOptions) -> PathBuf {
    let path = folder.join(name);
    let mut writer = BagWriter::create(&path, options).unwrap();
    let sensor = QosProfile::sensor_data;
    let mut add = |topic: NewTopic| writer.add_topic(topic).unwrap();
    let colours = add(NewTopic::of::<Image>(COLOUR).qos(sensor()));
    let jpegs = add(NewTopic::of::<CompressedImage>(JPEG).qos(sensor()));
    let depths = add(NewTopic::of::<Image>(DEPTH).qos(sensor()));
    let metres = add(NewTopic::of::<Image>(METRES).qos(sensor()));
    let masks = add(NewTopic::of::<Image>(MASK).qos(QosProfile::reliable(10)));
    let texts = add(NewTopic::of::<StringMessage>(TEXT)
        .qos(QosProfile::reliable(10))
        .qos(QosProfile::transient_local(1)));
    for number in 0..FRAMES {
        let time = START + number * SECOND / 10 + 5;
        let image = raw(number, "rgb8", 3, colour(number).into_raw());
        writer.write_message(colours, time, &image).unwrap();
        let compressed = CompressedImage {
            header: header(number),
            format: "rgb8; jpeg compressed bgr8".into(),
            data: jpeg(number).into(),
        };
        writer.write_message(jpegs, time, &compressed).unwrap();
        let values = depth(number).into_raw();
        let millimetres = values.iter().flat_map(|value| value.to_le_bytes());
        let image = raw(number, "16UC1", 2, millimetres.collect());
        writer.write_message(depths, time, &image).unwrap();
        let floats = values.iter().map(|&value| f32::from(value) / 1000.0);
        let image = raw(
            number,
            "32FC1",
            4,
            floats.flat_map(f32::to_le_bytes).collect(),
        );
        writer.write_message(metres, time, &image).unwrap();
        let image = raw(number, "mono8", 1, mask(number).into_raw());
        writer.write_message(masks, time, &image).unwrap();
    }
    let message = StringMessage {
        data: "change the TV channel".into(),
    };
    writer
        .write_message(texts, START + SECOND, &message)
        .unwrap();
    writer.finish().unwrap();
    path
}

fn chunks(compression: ChunkCompression) -> WriterOptions {
    WriterOptions {
        compression: Compression::Chunk(compression),
        chunk_size: Some(20_000),
        ros_distro: "jazzy".into(),
        ..WriterOptions::default()
    }
}

fn sample(folder: &Path) -> String {
    let path = write(folder, "bag", chunks(ChunkCompression::Zstd));
    path.to_str().unwrap().to_owned()
}

/// Extracts to a new folder, and gives it with what was said.
fn extract(folder: &Path, bag: &str, more: &[&str]) -> (PathBuf, String) {
    let out = tempfile::tempdir_in(folder).unwrap().keep();
    let mut arguments = vec!["bag", "extract", bag, "--out", out.to_str().unwrap()];
    arguments.extend(more);
    let said = done(&arguments);
    (out, said)
}

/// The pictures' names of a folder, in order.
fn pictures(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "frames.csv").collect();
    names.sort();
    names
}

fn named(number: u64, extension: &str) -> String {
    format!("{}.{extension}", START + number * SECOND / 10)
}

#[test]
fn info_says_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let bag = sample(folder.path());
    let said = done(&["bag", "info", &bag]);
    let lines: Vec<&str> = said.lines().collect();
    let has = |line: &str| assert!(lines.contains(&line), "{line:?} in\n{said}");
    has(&format!("Bag:          {bag}"));
    has("Storage:      mcap");
    has("Compression:  zstd, by chunk");
    has("Distro:       jazzy");
    has("Duration:     1.000 s");
    has("Start:        2023-11-14 22:13:20.000000005 UTC (1700000000.000000005)");
    has("Messages:     51");
    let row = |name: &str| -> Vec<&str> {
        let row = lines
            .iter()
            .find(|line| line.starts_with(&format!("{name} ")));
        row.unwrap().split_whitespace().collect()
    };
    assert_eq!(
        row(COLOUR),
        [
            COLOUR,
            "sensor_msgs/msg/Image",
            "10",
            "9.00",
            "best_effort",
            "volatile"
        ]
    );
    assert_eq!(
        row(TEXT),
        [
            TEXT,
            "std_msgs/msg/String",
            "1",
            "-",
            "reliable",
            "transient_local+volatile"
        ]
    );
    assert!(!said.contains("note:"), "{said}");
    let checked = done(&["bag", "info", "--check", &bag]);
    assert!(
        checked.ends_with("Read:         51 messages\n"),
        "{checked}"
    );
}

#[test]
fn info_says_the_same_to_machines() {
    let folder = tempfile::tempdir().unwrap();
    let bag = sample(folder.path());
    let said: Value = serde_json::from_str(&done(&["bag", "info", &bag, "--json"])).unwrap();
    assert_eq!(said["path"], bag);
    assert_eq!(said["storage"], serde_json::json!(["mcap"]));
    assert_eq!(said["compression"]["format"], "zstd");
    assert_eq!(said["compression"]["by"], "chunk");
    assert_eq!(said["messages"], 51);
    assert_eq!(said["start_ns"], START + 5);
    assert_eq!(said["end_ns"], START + SECOND);
    assert_eq!(said["duration_ns"], SECOND - 5);
    assert_eq!(said["start"], "2023-11-14 22:13:20.000000005 UTC");
    assert_eq!(said["ros_distro"], "jazzy");
    assert_eq!(said["notes"], serde_json::json!([]));
    let topics = said["topics"].as_array().unwrap();
    let topic = topics.iter().find(|topic| topic["name"] == COLOUR).unwrap();
    assert_eq!(topic["type"], "sensor_msgs/msg/Image");
    assert_eq!(topic["messages"], 10);
    assert_eq!(topic["qos"][0]["reliability"], "best_effort");
}

#[test]
fn colour_comes_out_as_it_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let bag = sample(folder.path());
    // The bag's only camera, as the compressed topic is the same one's.
    let (out, said) = extract(folder.path(), &bag, &[]);
    let table = out.join("frames.csv");
    let expected = format!("10 frames of {COLOUR}; listed in {}\n", table.display());
    assert_eq!(said, expected);
    let names: Vec<String> = (0..FRAMES).map(|number| named(number, "png")).collect();
    assert_eq!(pictures(&out), names);
    for (number, name) in (0..FRAMES).zip(&names) {
        assert_eq!(read_image(out.join(name)).unwrap(), colour(number));
    }
    let rows = fs::read_to_string(table).unwrap();
    let mut rows = rows.lines();
    assert_eq!(
        rows.next(),
        Some("file,stamp_ns,frame_id,log_time_ns,encoding")
    );
    for (number, name) in (0..FRAMES).zip(&names) {
        let stamp = START + number * SECOND / 10;
        let row = format!("{name},{stamp},\"camera, optical\",{},rgb8", stamp + 5);
        assert_eq!(rows.next(), Some(row.as_str()));
    }
}

#[test]
fn a_jpeg_stays_the_file_it_is_unless_something_else_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let bag = sample(folder.path());
    for format in [
        &["--topic", JPEG][..],
        &["--topic", JPEG, "--format", "jpeg"],
    ] {
        let (out, _) = extract(folder.path(), &bag, format);
        assert_eq!(pictures(&out).len(), 10);
        for number in 0..FRAMES {
            let file = fs::read(out.join(named(number, "jpg"))).unwrap();
            assert!(file == jpeg(number), "{number}");
        }
    }
    let (out, _) = extract(folder.path(), &bag, &["--topic", JPEG, "--format", "png"]);
    let decoded = lisa::image::decode_image("jpeg", &jpeg(3)).unwrap();
    assert_eq!(read_image(out.join(named(3, "png"))).unwrap(), decoded);
    // Raw pictures become JPEGs where that is asked for.
    let more = ["--topic", COLOUR, "--format", "jpeg", "--quality", "90"];
    let (out, _) = extract(folder.path(), &bag, &more);
    assert!(fs::read(out.join(named(3, "jpg"))).unwrap() == jpeg(3));
}

#[test]
fn masks_and_depth_keep_their_bits() {
    let folder = tempfile::tempdir().unwrap();
    let bag = sample(folder.path());
    let open = |out: &Path, number| image::open(out.join(named(number, "png"))).unwrap();
    let (out, _) = extract(folder.path(), &bag, &["--topic", MASK]);
    for number in 0..FRAMES {
        assert_eq!(open(&out, number), DynamicImage::ImageLuma8(mask(number)));
    }
    let (out, said) = extract(folder.path(), &bag, &["--topic", DEPTH]);
    assert!(!said.contains("note:"), "{said}");
    for number in 0..FRAMES {
        assert_eq!(open(&out, number), DynamicImage::ImageLuma16(depth(number)));
    }
    let (out, said) = extract(folder.path(), &bag, &["--topic", METRES]);
    assert!(said.contains("note: 32FC1 is metres, the files are millimetres"));
    for number in 0..FRAMES {
        assert_eq!(open(&out, number), DynamicImage::ImageLuma16(depth(number)));
    }
    let out = folder.path().join("jpeg");
    let arguments = ["bag", "extract", &bag, "--topic", DEPTH, "--format", "jpeg"];
    let said = failed(&[&arguments[..], &["--out", out.to_str().unwrap()]].concat());
    assert!(said[0].ends_with("depth has 16 bits a pixel, and a JPEG has 8; accepted: png"));
    assert!(
        said[5] == "lisa: and 5 more" && said[6].contains("none of 10 messages"),
        "{said:?}"
    );
}

#[test]
fn a_part_of_a_bag_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let bag = sample(folder.path());
    for (more, expected) in [
        (&["--every", "4"][..], &[0, 4, 8][..]),
        (&["--limit", "2"], &[0, 1]),
        (&["--from", "0.35", "--until", "0.6"], &[4, 5]),
        (&["--from", "0.2", "--every", "3", "--limit", "2"], &[2, 5]),
    ] {
        let (out, _) = extract(folder.path(), &bag, more);
        let expected: Vec<String> = expected.iter().map(|&n| named(n, "png")).collect();
        assert_eq!(pictures(&out), expected, "{more:?}");
    }
    let out = folder.path().join("none");
    let arguments = [
        "bag",
        "extract",
        &bag,
        "--from",
        "20",
        "--out",
        out.to_str().unwrap(),
    ];
    let said = failed_in_one_line(&arguments);
    assert!(said.ends_with("holds no messages on /camera/image_raw in that time"));
    let (_, said) = extract(folder.path(), &bag, &["--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["frames"], &said["failed"]), (&10.into(), &0.into()));
}

#[test]
fn frames_of_one_stamp_do_not_overwrite_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bag");
    let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
    let topic = writer.add_topic(NewTopic::of::<Image>("/image")).unwrap();
    for (time, stamp) in [(1, 500), (2, 500), (3, 0)] {
        let mut image = raw(time, "rgb8", 3, colour(time).into_raw());
        image.header.stamp = Time::from_nanoseconds(stamp);
        writer.write_message(topic, time, &image).unwrap();
    }
    writer.finish().unwrap();
    let (out, _) = extract(folder.path(), path.to_str().unwrap(), &[]);
    assert_eq!(pictures(&out), ["3.png", "500.png", "500_2.png"]);
    assert_eq!(read_image(out.join("500_2.png")).unwrap(), colour(2));
}

#[test]
fn what_is_no_picture_is_told_which_topics_are() {
    let folder = tempfile::tempdir().unwrap();
    let bag = sample(folder.path());
    let out = folder.path().join("out");
    let asked = |topic| {
        let out = out.to_str().unwrap();
        failed_in_one_line(&["bag", "extract", &bag, "--topic", topic, "--out", out])
    };
    assert_eq!(
        asked(TEXT),
        format!(
            "lisa: {TEXT} is of type std_msgs/msg/String; accepted: sensor_msgs/msg/Image, \
             sensor_msgs/msg/CompressedImage (of these the bag has: {COLOUR}, {JPEG}, {DEPTH}, {METRES}, {MASK})"
        )
    );
    assert!(asked("/nowhere").starts_with("lisa: no topic /nowhere in the bag; it has: "));
    assert!(!out.exists());
}

#[test]
fn messages_that_cannot_be_decoded_are_named_and_the_rest_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bag");
    let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
    let topic = writer.add_topic(NewTopic::of::<Image>("/image")).unwrap();
    for number in 0..4 {
        let time = START + number;
        let image = raw(number, "rgb8", 3, colour(number).into_raw());
        match number {
            1 => writer.write(topic, time, &[0, 1, 0, 0, 9]).unwrap(),
            2 => writer
                .write_message(topic, time, &raw(2, "rgb8", 3, vec![0; 9]))
                .unwrap(),
            _ => writer.write_message(topic, time, &image).unwrap(),
        }
    }
    writer.finish().unwrap();
    let out = folder.path().join("out");
    let arguments = [
        "bag",
        "extract",
        path.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    let output = lisa(&arguments);
    assert!(output.status.success());
    assert!(text(&output.stdout).starts_with("2 frames of /image, 2 could not be extracted"));
    let said = text(&output.stderr);
    let [first, second] = &said.lines().collect::<Vec<_>>()[..] else {
        panic!("{said}");
    };
    assert!(
        first.starts_with("lisa: /image at 1700000000000000001 ns: not a sensor_msgs/msg/Image")
    );
    assert!(second.starts_with("lisa: /image at 1700000000000000002 ns: data holds 9 bytes"));
    assert_eq!(pictures(&out), [named(0, "png"), named(3, "png")]);
}

/// The one file of a bag.
fn file_of(bag: &str) -> PathBuf {
    Bag::open(bag).unwrap().files()[0].path.clone()
}

#[test]
fn a_bag_cut_in_a_chunk_gives_what_comes_before() {
    let folder = tempfile::tempdir().unwrap();
    let bag = sample(folder.path());
    let file = file_of(&bag);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let said = done(&["bag", "info", &bag]);
    let notes: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("note: "))
        .collect();
    assert!(notes[0].contains(": read as far as byte "), "{said}");
    assert!(
        notes[1].contains("metadata.yaml promises 10 messages, the files hold"),
        "{said}"
    );
    let said = failed(&["bag", "info", "--check", &bag]);
    assert!(
        said.len() == 1 && said[0].contains(": it is not whole, for the "),
        "{said:?}"
    );
    let out = folder.path().join("out");
    let output = lisa(&["bag", "extract", &bag, "--out", out.to_str().unwrap()]);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains(": read as far as byte "));
    let written = pictures(&out);
    assert!((2..10).contains(&written.len()), "{written:?}");
    assert_eq!(read_image(out.join(&written[1])).unwrap(), colour(1));
    // The cut leaves no message at all.
    fs::write(&file, &whole[..20]).unwrap();
    let said = failed_in_one_line(&["bag", "info", &bag]);
    assert!(said.ends_with("holds no messages"), "{said}");
}

#[test]
fn a_wrong_crc_costs_its_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "bag", chunks(ChunkCompression::None));
    let bag = path.to_str().unwrap();
    let file = file_of(bag);
    let mut bytes = fs::read(&file).unwrap();
    // Within the first chunk, whose records begin at byte 90 or a little later.
    bytes[5000] ^= 1;
    fs::write(&file, &bytes).unwrap();
    done(&["bag", "info", bag]);
    let output = lisa(&["bag", "info", "--check", bag]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    let damaged: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("damaged: "))
        .collect();
    assert!(damaged.len() == 1 && damaged[0].contains("CRC"), "{said}");
    let out = folder.path().join("out");
    let output = lisa(&["bag", "extract", bag, "--out", out.to_str().unwrap()]);
    assert!(output.status.success());
    let said = text(&output.stderr);
    assert!(said.lines().count() == 1 && said.contains("CRC"), "{said}");
    assert_eq!(pictures(&out).len(), 9);
}

#[test]
fn missing_metadata_is_said_and_missed_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let bag = sample(folder.path());
    fs::remove_file(Path::new(&bag).join("metadata.yaml")).unwrap();
    let said = done(&["bag", "info", &bag]);
    assert!(said.contains("Messages:     51\n"));
    let note = said.lines().last().unwrap();
    assert!(
        note.starts_with("note: ") && note.contains("no metadata.yaml"),
        "{note}"
    );
    let (out, _) = extract(folder.path(), &bag, &[]);
    assert_eq!(pictures(&out).len(), 10);
}

#[test]
fn a_type_nobody_knows_is_listed_and_not_extracted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bag");
    let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
    let topic = NewTopic {
        ros_type: "my_msgs/msg/Mine".into(),
        definition: Some(Definition {
            encoding: "ros2msg".into(),
            text: "uint8 mine\n".into(),
        }),
        ..NewTopic::of::<StringMessage>("/mine")
    };
    let topic = writer.add_topic(topic).unwrap();
    writer.write(topic, START, &[0, 1, 0, 0, 42]).unwrap();
    writer.finish().unwrap();
    let bag = path.to_str().unwrap();
    assert!(done(&["bag", "info", bag]).contains("/mine  my_msgs/msg/Mine         1"));
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    let said = failed_in_one_line(&["bag", "extract", bag, "--topic", "/mine", "--out", out]);
    assert!(
        said.starts_with("lisa: /mine is of type my_msgs/msg/Mine; accepted: "),
        "{said}"
    );
    let said = failed_in_one_line(&["bag", "extract", bag, "--out", out]);
    assert!(said.ends_with("it has: /mine (my_msgs/msg/Mine)"), "{said}");
}

#[test]
fn a_bag_without_messages_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bag");
    let mut writer = BagWriter::create(&path, WriterOptions::default()).unwrap();
    writer.add_topic(NewTopic::of::<Image>("/image")).unwrap();
    writer.finish().unwrap();
    let bag = path.to_str().unwrap();
    let output = lisa(&["bag", "info", bag]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("/image"));
    assert_eq!(
        text(&output.stderr),
        format!("lisa: {bag}: holds no messages\n")
    );
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    let said = failed_in_one_line(&["bag", "extract", bag, "--topic", "/image", "--out", out]);
    assert_eq!(said, format!("lisa: {bag}: holds no messages on /image"));
}

#[test]
fn what_is_no_bag_is_told_what_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "hello").unwrap();
    for command in [&["info"][..], &["extract", "--out", "out"]] {
        let arguments = [&["bag"], command, &[path.to_str().unwrap()]].concat();
        let said = failed_in_one_line(&arguments);
        assert!(said.contains("is not a bag; accepted: "), "{said}");
    }
    let said = failed_in_one_line(&["bag", "info", "/no/such/bag"]);
    assert!(said.starts_with("lisa: /no/such/bag: "), "{said}");
    let help = done(&["bag", "extract", "--help"]);
    assert!(help.contains("Examples:"), "{help}");
}
