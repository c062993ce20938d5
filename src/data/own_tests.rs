//! Pictures and labels as people have them, whole and broken.

use super::testing::{area, reason, rng, Tree};
use super::*;

const TRAIN: &str = "reason_seg/ReasonSeg/train";

fn labels(rest: &str) -> String {
    format!(r#"{{"text":["the mug"],"is_sentence":false,{rest}}}"#)
}

fn square() -> String {
    labels(r#""shapes":[{"label":"target","points":[[1,1],[3,1],[3,2],[1,2]]}]"#)
}

fn open(tree: &Tree) -> Result<ReasonSegDataset, DataError> {
    ReasonSegDataset::open(tree.root(), "train", 3, 0.1)
}

fn mask(tree: &Tree) -> TruthMask {
    open(tree).unwrap().item(0).unwrap().mask.unwrap()
}

/// A file as LabelMe 5 writes it, of a picture of 6×4 pixels.
fn labelme(shapes: &serde_json::Value, image_data: Option<&str>) -> String {
    serde_json::json!({
        "version": "5.4.1", "flags": {"blurred": true}, "shapes": shapes, "imagePath": "a.jpg",
        "imageData": image_data, "imageHeight": 4, "imageWidth": 6,
        "text": ["the mug"], "is_sentence": false
    })
    .to_string()
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(width, height, image::Rgb([90, 60, 30]));
    let written = picture.write_to(&mut bytes, image::ImageFormat::Jpeg);
    written.unwrap();
    bytes.into_inner()
}

#[test]
fn shapes_of_labelme_are_drawn_as_it_draws_them() {
    let mut png = std::io::Cursor::new(Vec::new());
    let dots = image::GrayImage::from_raw(2, 2, vec![1, 0, 0, 1]).unwrap();
    dots.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let shape = |label: &str, kind: &str, points: serde_json::Value| {
        serde_json::json!({
            "label": label, "points": points, "group_id": null, "description": "", "shape_type": kind,
            "flags": {"occluded": true}, "mask": null
        })
    };
    let mut dots = shape("dots", "mask", serde_json::json!([[4.0, 0.0], [5.0, 1.0]]));
    dots["mask"] = base64::encode(png.into_inner()).into();
    let shapes = serde_json::json!([
        shape(
            "mug",
            "rectangle",
            serde_json::json!([[0.4, 0.2], [1.6, 2.1]])
        ),
        shape("lid", "circle", serde_json::json!([[3.0, 2.0], [3.0, 3.0]])),
        dots,
        shape(
            "ignore",
            "rectangle",
            serde_json::json!([[5, 3], [5.5, 3.5]])
        ),
        shape("flag", "linestrip", serde_json::json!([[0, 0], [5, 3]])),
    ]);
    let tree = reason(&labelme(&shapes, None));
    let rows = |mask: &TruthMask| -> Vec<String> {
        let letter = |p: &u8| match *p {
            TruthMask::IGNORED => 'i',
            p => [".", "#"][usize::from(p)].chars().next().unwrap(),
        };
        let rows = mask.pixels.chunks(mask.width as usize);
        rows.map(|row| row.iter().map(letter).collect()).collect()
    };
    assert_eq!(rows(&mask(&tree)), ["##..#.", "####.#", "####..", ".....i"]);
}

#[test]
fn what_labelme_s_file_has_wrong_is_told_by_its_place() {
    let shape = |shape: &str| labels(&format!(r#""shapes":[{{"label":"flag"}},{shape}]"#));
    let line = r#"{"label":"mug","shape_type":"linestrip","points":[[1,1],[2,2],[3,1]]}"#;
    let beyond = r#"{"label":"mug","points":[[700,10],[900,10],[900,50]]}"#;
    let deep = r#"{"label":"mug","points":[[1,1],[2,2],[3,1,7]]}"#;
    let empty = base64::encode({
        let mut png = std::io::Cursor::new(Vec::new());
        let nothing = image::GrayImage::new(2, 2);
        nothing.write_to(&mut png, image::ImageFormat::Png).unwrap();
        png.into_inner()
    });
    let empty =
        format!(r#"{{"label":"mug","shape_type":"mask","points":[[1,1],[2,2]],"mask":"{empty}"}}"#);
    for (json, said) in [
        (shape(line), "shapes[1] ('mug') is of shape_type linestrip"),
        (
            shape(beyond),
            "shapes[1] ('mug') lies outside of the picture: x 700 to 900 and y 10 to 50 of 6×4",
        ),
        (
            shape(deep),
            "shapes[1] ('mug').points[2] is [3,1,7]; accepted: [x, y]",
        ),
        (shape(&empty), "its mask is empty"),
        (labels(r#""shapes":null"#), "it has no shapes"),
        (
            labels(r#""shapes":{}"#),
            "its shapes are {}; accepted: a list",
        ),
        (
            r#"{"shapes":[],"is_sentence":true}"#.to_owned(),
            "it has no text; accepted: text: ",
        ),
        (
            r#"{"shapes":[],"is_sentence":true,"text":"mug"}"#.to_owned(),
            "its text is \"mug\"; accepted: ",
        ),
        (
            r#"{"shapes":[],"text":["mug"]}"#.to_owned(),
            "it has no is_sentence; accepted: is_sentence: true where",
        ),
        (
            r#"{"shapes":[],"text":["mug"],"is_sentence":"no"}"#.to_owned(),
            "its is_sentence is \"no\"",
        ),
        (
            "3".to_owned(),
            "an object with text, is_sentence and shapes",
        ),
    ] {
        let refused = reason(&json).refused("ReasonSeg|train");
        assert!(
            refused.contains("train/a.json: ") && refused.contains(said),
            "{refused}"
        );
    }
}

#[test]
fn a_picture_that_is_gone_is_read_from_its_labels() {
    let shapes = serde_json::json!([{"label": "mug", "points": [[1, 1], [3, 2]], "shape_type": "rectangle"}]);
    let data = base64::encode(jpeg(6, 4));
    let tree = reason(&labelme(&shapes, Some(&data)));
    std::fs::remove_file(tree.root().join(TRAIN).join("a.jpg")).unwrap();
    let data = open(&tree).unwrap();
    let item = data.item(0).unwrap();
    assert_eq!(area(&item.mask.unwrap()), 6);
    // The explanation refers to the picture by the name that its file would have.
    assert_eq!(item.explanation.as_deref(), Some("Because."));
    assert_eq!(read_picture(&item.image).unwrap().dimensions(), (6, 4));
    assert_eq!(data.check(0).len(), 0);
    assert_eq!(data.left_out().len(), 0);

    for (image_data, said) in [
        ("&&&", "its imageData is no base64"),
        ("aGVsbG8=", "its imageData is no known picture"),
    ] {
        tree.file(
            &format!("{TRAIN}/a.json"),
            labelme(&shapes, Some(image_data)),
        );
        let refused = tree.refused("ReasonSeg|train");
        assert!(
            refused.contains("a.json: ") && refused.contains(said),
            "{refused}"
        );
        let checked = open(&tree).unwrap().check(0);
        assert_eq!(checked.len(), 1);
        assert_eq!(checked[0].to_string(), refused);
    }
}

#[test]
fn labels_follow_a_picture_that_was_resized_and_no_other() {
    let shapes = serde_json::json!([
        {"label": "mug", "points": [[1, 1], [2, 2]], "shape_type": "rectangle"},
        {"label": "lid", "points": [[4, 1], [5, 1], [5, 3], [4, 3]]}
    ]);
    let tree = reason(&labelme(&shapes, None));
    let name = format!("{TRAIN}/a.jpg");
    let size = |width, height| tree.file(&name, jpeg(width, height));
    let same = mask(&tree);
    assert_eq!(area(&same), 4 + 6);
    size(600, 400);
    let large = mask(&tree);
    assert_eq!((large.width, large.height), (600, 400));
    assert_eq!(area(&large), 101 * 101 + 101 * 201);
    // Here a side is rounded by as much as resizing may round it.
    size(300, 201);
    assert_eq!(mask(&tree).height, 201);
    for (width, height) in [(400, 600), (600, 300), (300, 203)] {
        size(width, height);
        let refused = tree.refused("ReasonSeg|train");
        assert!(
            refused.contains("a.json: it labels a picture of 6×4, and the picture is"),
            "{refused}"
        );
    }
}

#[test]
fn a_size_that_is_told_in_part_or_wrong_is_no_scale() {
    let rest = |size: &str| {
        labels(&format!(
            r#"{size}"shapes":[{{"label":"mug","points":[[1,1],[3,1],[3,2],[1,2]]}}]"#
        ))
    };
    for size in [
        "",
        r#""imageWidth":6,"#,
        r#""imageHeight":4,"imageWidth":null,"#,
        r#""imageWidth":600.0,"imageHeight":400,"#,
    ] {
        assert!(area(&mask(&reason(&rest(size)))) <= 6, "{size}");
    }
    for (size, said) in [
        (
            r#""imageWidth":12,"#,
            "its imageWidth is 12, and the picture is 6×4; accepted: imageWidth and imageHeight both",
        ),
        (
            r#""imageHeight":8,"#,
            "its imageHeight is 8, and the picture is 6×4",
        ),
        (
            r#""imageWidth":"160","imageHeight":4,"#,
            "its imageWidth is \"160\"; accepted: a number of pixels",
        ),
        (r#""imageWidth":-6,"imageHeight":4,"#, "its imageWidth is -6"),
        (r#""imageWidth":6,"imageHeight":0,"#, "its imageHeight is 0"),
        (
            r#""imageWidth":NaN,"imageHeight":4,"#,
            "NaN is no number in JSON",
        ),
    ] {
        let refused = reason(&rest(size)).refused("ReasonSeg|train");
        assert!(
            refused.contains("train/a.json: ") && refused.contains(said),
            "{refused}"
        );
    }
}

#[test]
fn pictures_of_every_ending_are_found_and_what_is_left_out_is_named() {
    let tree = Tree::new();
    let file = |name: &str| format!("{TRAIN}/{name}");
    for name in [
        "a.jpg", "b.jpeg", "c.png", "d.JPG", "e.PNG", "f.bmp", "g.webp",
    ] {
        tree.file(&file(name), jpeg(6, 4));
        let stem = name.split('.').next().unwrap();
        tree.file(&file(&format!("{stem}.json")), square());
    }
    for clutter in [
        "._a.jpg",
        "._a.json",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "__MACOSX/a.jpg",
        "@eaDir/a",
    ] {
        tree.file(&file(clutter), "clutter");
    }
    let data = open(&tree).unwrap();
    assert_eq!((data.items(), data.left_out().len()), (7, 0));
    for index in 0..data.len() {
        assert_eq!(data.check(index).len(), 0);
        assert_eq!(
            data.sample(index, &mut rng()).unwrap().conversations.len(),
            1
        );
    }

    for name in [
        "x.jpg",
        "y.jpg",
        "z.png",
        "c.jpg",
        "notes.txt",
        "kitchen/k.jpg",
    ] {
        tree.file(&file(name), jpeg(6, 4));
    }
    tree.file(&file("w.json"), square());
    let data = open(&tree).unwrap();
    assert_eq!(data.items(), 7);
    let said = data.left_out().join("\n");
    for line in [
        "ReasonSeg/train: 3 pictures without a JSON: x.jpg, y.jpg, z.png",
        "ReasonSeg/train: 1 JSON without a picture or imageData: w.json",
        "ReasonSeg/train: 1 picture beside another one of the same name: c.png",
        "ReasonSeg/train: 1 file of no known kind (jpg, jpeg, png, webp, bmp, json): notes.txt",
        "ReasonSeg/train: 1 folder not looked into: kitchen",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(data.left_out().len(), 5);

    for i in 0..9 {
        tree.file(&file(&format!("x{i}.jpg")), jpeg(6, 4));
    }
    let said = open(&tree).unwrap().left_out().join("\n");
    assert!(
        said.contains(
            "12 pictures without a JSON: x.jpg, x0.jpg, x1.jpg, x2.jpg, x3.jpg and 7 more"
        ),
        "{said}"
    );
}

#[test]
fn a_folder_without_a_labelled_picture_says_what_it_holds() {
    let tree = Tree::new();
    tree.file(&format!("{TRAIN}/.DS_Store"), "");
    let refused = tree.refused("ReasonSeg|train");
    assert!(
        refused.contains("holds no labelled picture, but nothing; accepted: "),
        "{refused}"
    );
    tree.image(&format!("{TRAIN}/a.jpg"));
    let refused = tree.refused("ReasonSeg|train");
    assert!(
        refused.contains("but 1 picture without a JSON: a.jpg; accepted: "),
        "{refused}"
    );
}

#[test]
fn explanations_of_no_picture_are_named() {
    let tree = reason(&square());
    tree.file(
        "reason_seg/ReasonSeg/explanatory/train.json",
        r#"[{"image":"a.jpg","query":"?","outputs":"So."},{"image":"a","query":"?","outputs":"So."}]"#,
    );
    let data = open(&tree).unwrap();
    assert!(data.describe().ends_with("1 explained"));
    let said = data.left_out().join("\n");
    assert!(
        said.ends_with("explanatory/train.json: 1 explanation of no picture in train: a"),
        "{said}"
    );
}

#[test]
fn of_two_explanations_of_a_picture_the_last_is_taken_and_the_others_are_named() {
    let tree = reason(&square());
    let list = "reason_seg/ReasonSeg/explanatory/train.json";
    tree.file(
        list,
        r#"[{"image":"a.jpg","outputs":"First."},{"image":"a.jpg","outputs":"Last."}]"#,
    );
    let data = open(&tree).unwrap();
    assert_eq!(data.item(0).unwrap().explanation.as_deref(), Some("Last."));
    let said = data.left_out().join("\n");
    let line = "train.json: 1 explanation before another one of the same picture: a.jpg";
    assert!(said.ends_with(line), "{said}");
    for (json, said) in [
        (
            "{}",
            "it is {}; accepted: a list of objects with image and outputs",
        ),
        (
            r#"[{"image":"a.jpg"}]"#,
            "[0] has no outputs; accepted: text",
        ),
        (
            r#"[{"image":"a.jpg","outputs":null}]"#,
            "[0].outputs is null; accepted: text",
        ),
    ] {
        tree.file(list, json);
        let refused = tree.refused("ReasonSeg|train");
        assert!(
            refused.contains(&format!("train.json: {said}")),
            "{refused}"
        );
    }
}

#[test]
fn what_is_no_regular_file_is_named_and_not_waited_for() {
    let tree = reason(&square());
    let pipe = |name: &str| {
        let path = tree.root().join(TRAIN).join(name);
        let _ = std::fs::remove_file(&path);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
    };
    for (name, label) in [("a.jpg", "a.jpg"), ("a.json", "a.json")] {
        pipe(name);
        let data = open(&tree).unwrap();
        let found = data.check(0);
        assert_eq!(found.len(), 1);
        let said = found[0].to_string();
        assert!(
            said.contains(&format!(
                "{label}: it is a named pipe; accepted: a regular file"
            )),
            "{said}"
        );
        let read = read_picture(&tree.root().join(TRAIN).join(name));
        assert!(read.unwrap_err().to_string().contains("a named pipe"));
        let _ = std::fs::remove_file(tree.root().join(TRAIN).join(name));
        tree.image(&format!("{TRAIN}/a.jpg"));
    }
    tree.image("ade20k/images/training/a.jpg");
    std::fs::create_dir_all(tree.root().join("ade20k/annotations/training/a.png")).unwrap();
    let refused = tree.refused("ade20k");
    assert!(
        refused.contains("a.png: it is a folder; accepted"),
        "{refused}"
    );
}

#[test]
fn every_json_is_read_in_the_encodings_of_people_s_editors() {
    let words = r#"{"text":["la tasse où je bois"],"is_sentence":true,"shapes":[]}"#;
    let explanation = r#"[{"image":"a.jpg","query":"?","outputs":"Là où je bois."}]"#;
    let list = "reason_seg/ReasonSeg/explanatory/train.json";
    let western = |text: &str| encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
    let marked = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
    let wide = |text: &str| {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    let tree = reason(words);
    for encode in [&western as &dyn Fn(&str) -> Vec<u8>, &marked, &wide] {
        tree.file(&format!("{TRAIN}/a.json"), encode(words));
        tree.file(list, encode(explanation));
        let item = open(&tree).unwrap().item(0).unwrap();
        assert_eq!(item.text, "la tasse où je bois");
        assert_eq!(item.explanation.as_deref(), Some("Là où je bois."));
    }
    let chinese = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
    tree.file(
        list,
        chinese(r#"[{"image":"a.jpg","query":"?","outputs":"红高的"}]"#),
    );
    let refused = tree.refused("ReasonSeg|train");
    assert!(
        refused.contains("explanatory/train.json: it is not in UTF-8, and looks like GBK"),
        "{refused}"
    );
    tree.file(list, "[]");
    tree.file(
        &format!("{TRAIN}/a.json"),
        chinese(r#"{"text":["红高的"],"is_sentence":true,"shapes":[]}"#),
    );
    let refused = tree.refused("ReasonSeg|train");
    assert!(
        refused.contains("train/a.json: it is not in UTF-8, and looks like GBK"),
        "{refused}"
    );
}

#[test]
fn class_pictures_of_one_s_own_are_found_by_every_ending() {
    let tree = Tree::new();
    for name in ["a.jpg", "b.PNG", "._a.jpg", ".DS_Store"] {
        tree.file(&format!("ade20k/images/training/{name}"), jpeg(6, 4));
    }
    let data = tree.open("ade20k").unwrap();
    assert_eq!(data.len(), 2);
    // A class picture larger than any accepted picture is refused before memory is taken for it.
    let (grey, bits) = (png::ColorType::Grayscale, png::BitDepth::Eight);
    let label = "ade20k/annotations/training/a.png";
    tree.png(label, grey, bits, (40_000, 1), &[1; 40_000]);
    let refused = tree.refused("ade20k");
    assert!(
        refused.contains(label) && refused.contains("accepted: sides of 1 to 32768"),
        "{refused}"
    );
    assert_eq!(data.check(0)[0].to_string(), refused);
}
