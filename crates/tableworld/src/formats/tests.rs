//! Whole datasets of scenes made by hand, read back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use coco_rle::Rle;
use serde_json::Value;

use super::contour::draw;
use super::testing::{annotated, HEIGHT, WIDTH};
use super::*;
use crate::language::QuestionKind;
use crate::Split;

fn order(formats: &[Format], split: Split, seed0: u64, count: usize) -> Order<'_> {
    Order {
        formats,
        split,
        seed0,
        count,
        width: WIDTH,
        height: HEIGHT,
    }
}

fn write(folder: &Path, order: &Order) -> Summary {
    let mut options = Options::default();
    options.reason_kinds.push(QuestionKind::Absent);
    options.reason_kinds.push(QuestionKind::MultiTurn);
    write_scenes(order, folder, &options, &annotated, &|_| ()).unwrap()
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"))).unwrap()
}

/// Every file's path in a folder and its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder_now) = open.pop() {
        for entry in fs::read_dir(folder_now).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().into();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

/// Object `i` of the scene of `seed`, as its renderer would say.
fn mask(seed: u64, objects: &[u8]) -> Vec<bool> {
    let instances = annotated(seed).frame.instances;
    let among = |id: &u8| *id > 0 && objects.contains(&(id - 1));
    instances.iter().map(among).collect()
}

#[test]
fn reason_seg_items_hold_the_question_and_exactly_its_mask() {
    let out = tempfile::tempdir().unwrap();
    let summary = write(out.path(), &order(&[Format::ReasonSeg], Split::Val, 7, 2));
    assert_eq!(summary.made[0].items, 12);
    let root = out.path().join("reason_seg/ReasonSeg");
    let expected: [(&str, bool, &[u8]); 6] = [
        ("I want some soup.", true, &[1]),
        ("sour fruit", false, &[2]),
        ("Where can I put soup?", true, &[1]),
        ("dishes", false, &[0, 1]),
        ("hammer", false, &[]),
        ("Please segment it.", true, &[2]),
    ];
    // In the order of the kinds, from another one on in each scene.
    for (i, (text, is_sentence, objects)) in (0..6).map(|i| (i, expected[(i + 8) % 6])) {
        let item = json(root.join(format!("val/000000008_{i}.json")));
        assert_eq!(item["text"], serde_json::json!([text]));
        assert_eq!(item["is_sentence"], is_sentence);
        let earlier = serde_json::json!([{"question": "What is sour?", "answer": "The lemon."}]);
        let expected = (text == "Please segment it.").then_some(&earlier);
        assert_eq!(item.get("history"), expected, "{text}");
        let shapes = item["shapes"].as_array().unwrap();
        assert!(shapes.iter().all(|shape| shape["label"] == "target"));
        let polygons: Vec<Polygon> = shapes
            .iter()
            .map(|shape| serde_json::from_value(shape["points"].clone()).unwrap())
            .collect();
        assert_eq!(draw(WIDTH, HEIGHT, &polygons), mask(8, objects), "{text}");
        let picture = image::open(root.join(format!("val/000000008_{i}.jpg"))).unwrap();
        assert_eq!((picture.width(), picture.height()), (WIDTH, HEIGHT));
    }
    let said = json(root.join("explanatory/val.json"));
    let expected = serde_json::json!({
        "image": "000000008_2.jpg", "query": "hammer", "outputs": "About the hammer.",
    });
    assert_eq!(said.as_array().unwrap().len(), 4);
    assert!(said.as_array().unwrap().contains(&expected), "{said}");
    let images: BTreeSet<_> = said
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["image"].as_str())
        .collect();
    assert_eq!(images.len(), 4);
}

#[test]
fn expressions_lead_through_refs_and_annotations_to_masks() {
    let out = tempfile::tempdir().unwrap();
    write(out.path(), &order(&[Format::Refer], Split::Train, 3, 2));
    write(out.path(), &order(&[Format::Refer], Split::Test, 3, 1));
    let root = out.path().join("refer_seg/refcoco");
    let bytes = fs::read(root.join("refs(unc).p")).unwrap();
    // A pickle of protocol 2.
    assert_eq!(bytes[..2], [0x80, 2]);
    let refs: Value = serde_pickle::from_slice(&bytes, Default::default()).unwrap();
    let instances = json(root.join("instances.json"));
    let refs = refs.as_array().unwrap();
    let splits: Vec<_> = refs.iter().map(|r| r["split"].as_str().unwrap()).collect();
    assert_eq!(splits, ["train", "train", "testA"]);
    for (r, seed) in refs.iter().zip([3, 4, 3]) {
        let sentence = &r["sentences"][0];
        assert_eq!(sentence["sent"], "red mug");
        assert_eq!(sentence["raw"], "the red mug");
        assert_eq!(sentence["tokens"], serde_json::json!(["red", "mug"]));
        assert_eq!(r["sent_ids"], serde_json::json!([sentence["sent_id"]]));
        let find = |list: &str, id: &str| {
            let entries = instances[list].as_array().unwrap();
            let found: Vec<_> = entries
                .iter()
                .filter(|entry| entry["id"] == r[id])
                .collect();
            assert_eq!(found.len(), 1, "{list}");
            found[0].clone()
        };
        let annotation = find("annotations", "ann_id");
        let rle: Rle = serde_json::from_value(annotation["segmentation"][0].clone()).unwrap();
        assert_eq!(rle.decode(WIDTH, HEIGHT).unwrap(), mask(seed, &[0]));
        assert_eq!(annotation["area"], 280);
        let left = 4 + seed % 5;
        assert_eq!(annotation["bbox"], serde_json::json!([left, 10, 14, 20]));
        assert_eq!(find("categories", "category_id")["name"], "mug");
        let picture = find("images", "image_id")["file_name"].clone();
        let images = out.path().join("refer_seg/images/mscoco/images/train2014");
        assert!(images.join(picture.as_str().unwrap()).is_file());
    }
}

#[test]
fn classes_and_colours_are_one_more_than_their_place_in_the_list() {
    let out = tempfile::tempdir().unwrap();
    write(out.path(), &order(&[Format::Semantic], Split::Train, 0, 1));
    let root = out.path().join("ade20k");
    let colours = annotated(0).scene.objects.clone();
    let colours = std::iter::once("").chain(colours.iter().map(|o| o.colour.name()));
    for (kind, list, names) in [
        ("annotations", "classes", vec!["", "mug", "bowl", "lemon"]),
        ("attributes", "attributes", colours.collect()),
    ] {
        let listed = json(root.join(format!("{list}.json")));
        let picture = image::open(root.join(format!("{kind}/training/000000000.png"))).unwrap();
        let image::DynamicImage::ImageLuma8(picture) = picture else {
            panic!("{kind}: {:?}", picture.color());
        };
        let mut seen = BTreeSet::new();
        for (id, &value) in annotated(0).frame.instances.iter().zip(picture.as_raw()) {
            let name = names[usize::from(*id)];
            match value {
                0 => assert_eq!(name, ""),
                value => assert_eq!(listed[usize::from(value) - 1], name),
            }
            seen.insert(name);
        }
        assert!(seen.len() > 2, "{kind}: {seen:?}");
    }
    assert!(root.join("images/training/000000000.jpg").is_file());
}

#[test]
fn conversations_mark_the_picture_once_and_take_turns() {
    let out = tempfile::tempdir().unwrap();
    write(out.path(), &order(&[Format::Vqa], Split::Train, 5, 2));
    write(out.path(), &order(&[Format::Vqa], Split::Train, 6, 2));
    let list = json(out.path().join("llava_dataset/llava_instruct_150k.json"));
    let list = list.as_array().unwrap();
    let images: Vec<_> = list.iter().map(|c| c["image"].as_str().unwrap()).collect();
    assert_eq!(
        images,
        ["000000000005.jpg", "000000000006.jpg", "000000000007.jpg"]
    );
    for conversation in list {
        let said = conversation["conversations"].as_array().unwrap();
        assert_eq!(said.len(), 6);
        assert_eq!(said[0]["value"], "<image>\nIs there a mug?");
        for (i, said) in said.iter().enumerate() {
            assert_eq!(said["from"], ["human", "gpt"][i % 2]);
            assert_eq!(said["value"].as_str().unwrap().contains("<image>"), i == 0);
        }
        let image = conversation["image"].as_str().unwrap();
        assert!(out.path().join("coco/train2017").join(image).is_file());
    }
}

#[test]
fn frames_hold_depth_in_millimetres_and_the_truth() {
    let out = tempfile::tempdir().unwrap();
    write(out.path(), &order(&[Format::Frames], Split::Test, 9, 1));
    let root = out.path().join("frames/test");
    let truth = json(root.join("000000009.json"));
    let open = |kind: &str| image::open(root.join(truth["files"][kind].as_str().unwrap())).unwrap();
    let frame = annotated(9).frame;
    let image::DynamicImage::ImageLuma16(depth) = open("depth") else {
        panic!();
    };
    let expected: Vec<u16> = frame
        .instances
        .iter()
        .map(|&i| u16::from(i) * 250)
        .collect();
    assert_eq!(depth.as_raw(), &expected);
    assert_eq!(open("instances").into_luma8().as_raw(), &frame.instances);
    assert_eq!(open("rgb").into_rgb8(), frame.image);
    let mug = &truth["objects"][0];
    assert_eq!(
        (mug["category"].as_str(), mug["colour"].as_str()),
        (Some("mug"), Some("red"))
    );
    assert_eq!(mug["roi"], serde_json::json!([8, 10, 14, 20]));
    assert_eq!(mug["visible_pixels"], 280);
    assert_eq!(truth["camera"]["cx"], 31.5);
    assert_eq!(
        truth["dialogues"][0]["turns"][0]["targets"],
        serde_json::json!([[0]])
    );
}

#[test]
fn all_formats_together_are_the_same_with_any_number_of_threads() {
    let run = |threads| {
        let out = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let order = order(&Format::ALL, Split::Train, 0, 40);
        let summary = pool.build().unwrap().install(|| write(out.path(), &order));
        assert_eq!(summary.made.len(), Format::ALL.len());
        contents(out.path())
    };
    let (one, three) = (run(1), run(3));
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        three.keys().collect::<Vec<_>>()
    );
    assert!(one.iter().zip(&three).all(|(a, b)| a == b));
}

#[test]
fn what_cannot_be_written_says_why_and_where() {
    let out = tempfile::tempdir().unwrap();
    let fail = |order: &Order, annotated: &(dyn Fn(u64) -> AnnotatedScene + Sync)| {
        let result = write_scenes(order, out.path(), &Options::default(), annotated, &|_| ());
        result.unwrap_err().to_string()
    };
    let refer = order(&[Format::Refer], Split::Train, 0, 1);
    assert!(fail(&order(&[], Split::Train, 0, 1), &annotated).contains("accepted: reason-seg"));
    let error = fail(
        &order(&[Format::Vqa], Split::Train, MAX_SEED, 1),
        &annotated,
    );
    assert!(
        error.contains("accepted: seeds below 1000000000"),
        "{error}"
    );
    let broken = |seed| {
        let mut annotated = annotated(seed);
        annotated.frame.depth.pop();
        annotated
    };
    let error = fail(&refer, &broken);
    assert!(
        error.starts_with("scene 0: the frame is 64x48 pixels but its depth has 3071"),
        "{error}"
    );

    let list = out.path().join("refer_seg/refcoco/refs(unc).p");
    fs::write(&list, b"no pickle").unwrap();
    let error = fail(&refer, &annotated);
    assert!(
        error.contains("refs(unc).p is there already") && !error.contains('\n'),
        "{error}"
    );
    assert_eq!(fs::read(&list).unwrap(), b"no pickle");

    fs::write(out.path().join("frames"), b"").unwrap();
    let error = fail(&order(&[Format::Frames], Split::Val, 0, 1), &annotated);
    assert!(
        error.starts_with("cannot write ") && error.contains("frames/val"),
        "{error}"
    );
}

#[test]
fn what_is_not_of_tableworld_is_neither_added_to_nor_overwritten() {
    for (format, file) in [
        (
            Format::ReasonSeg,
            "reason_seg/ReasonSeg/train/000000000_0.json",
        ),
        (Format::Refer, "refer_seg/refcoco/instances.json"),
        (Format::Semantic, "ade20k/annotations/training/a.png"),
        (Format::Vqa, "llava_dataset/llava_instruct_150k.json"),
        (Format::Vqa, "coco/train2017/000000000009.jpg"),
        (Format::Frames, "frames/train/notes.txt"),
    ] {
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        let formats = [Format::Semantic, Format::Frames, format];
        let order = order(&formats, Split::Train, 0, 1);
        let refused = write_scenes(&order, out.path(), &Options::default(), &annotated, &|_| ());
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("not of TableWorld") && refused.contains("accepted: another --out"),
            "{refused}"
        );
        assert_eq!(contents(out.path()).len(), 1, "{file}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        // Out of the way, an empty folder is as good as none.
        fs::remove_file(&path).unwrap();
        write(out.path(), &order);
        write(out.path(), &order);
    }
}

#[test]
fn names_lead_back_and_others_are_told_what_is_accepted() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
        let refusal = UnknownFormat(String::new()).to_string();
        assert!(refusal.contains(format.name()), "{refusal}");
    }
    assert!("coco".parse::<Format>().is_err());
}

#[test]
fn a_scene_gives_as_many_reason_seg_items_as_wanted_of_all_kinds() {
    let out = tempfile::tempdir().unwrap();
    let order = order(&[Format::ReasonSeg], Split::Train, 0, 40);
    let options = Options {
        questions_per_scene: Some(3),
        ..Options::default()
    };
    // An earlier run that made more of them.
    write(out.path(), &order);
    let summary = write_scenes(&order, out.path(), &options, &annotated, &|_| ()).unwrap();
    assert_eq!(summary.made[0].items, 120);
    let files = contents(&out.path().join("reason_seg/ReasonSeg/train"));
    assert_eq!(files.len(), 240);
    let mut texts: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..40 {
        for i in 0..3 {
            let name = format!("reason_seg/ReasonSeg/train/{seed:09}_{i}.json");
            let item = json(out.path().join(name));
            *texts.entry(item["text"][0].to_string()).or_default() += 1;
        }
    }
    assert_eq!(texts.into_values().collect::<Vec<_>>(), [30; 4]);
    let pictures = json(out.path().join("reason_seg/ReasonSeg/pictures/train.json"));
    assert_eq!(pictures.as_array().unwrap().len(), 40);
    let expected: Vec<String> = (0..3).map(|i| format!("{:09}_{i}.jpg", 7)).collect();
    assert_eq!(pictures[7], serde_json::json!(expected));
}

#[test]
fn half_of_balanced_items_have_no_mask_and_say_so() {
    let out = tempfile::tempdir().unwrap();
    let order = order(&[Format::ReasonSeg], Split::Train, 0, 30);
    let options = Options {
        balanced: true,
        reason_kinds: QuestionKind::ALL.into(),
        ..Options::default()
    };
    let summary = write_scenes(&order, out.path(), &options, &annotated, &|_| ()).unwrap();
    let root = out.path().join("reason_seg/ReasonSeg");
    let said = json(root.join("explanatory/train.json"));
    let said: BTreeMap<&str, &str> = said.as_array().unwrap().iter().map(said_of).collect();
    let (mut absent, mut unasked, mut refused_before) = (0, 0, 0);
    let mut names: Vec<_> = contents(&root.join("train")).into_keys().collect();
    names.retain(|name| name.extension().is_some_and(|e| e == "json"));
    for name in &names {
        let item = json(root.join("train").join(name));
        let jpg = name.with_extension("jpg");
        let outputs = said.get(jpg.to_str().unwrap());
        let turns = item["history"].as_array().cloned().unwrap_or_default();
        if !item["shapes"].as_array().unwrap().is_empty() {
            assert!(
                turns.iter().all(|turn| turn.get("absent").is_none()),
                "{item}"
            );
            continue;
        }
        let outputs = *outputs.unwrap();
        assert!(
            outputs.starts_with("There ") && !outputs.contains("[SEG]"),
            "{outputs}"
        );
        absent += 1;
        unasked += usize::from(item.get("question").is_none());
        for turn in &turns {
            assert_eq!(
                (&turn["absent"], turn["answer"].as_str()),
                (&true.into(), Some(outputs))
            );
            refused_before += 1;
        }
    }
    assert_eq!(names.len(), summary.made[0].items);
    assert!(names.len() >= 30 * 6, "{}", names.len());
    assert_eq!(2 * absent, names.len());
    assert!(unasked > 0 && refused_before > 0);
}

fn said_of(explanation: &Value) -> (&str, &str) {
    let text = |name: &str| explanation[name].as_str().unwrap();
    (text("image"), text("outputs"))
}
