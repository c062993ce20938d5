//! The datasets as they are published, whole and broken, and the stream of samples.

use super::testing::{area, refer, rng, vqa, Tree, OUTLINE};
use super::*;

#[test]
fn a_dataset_that_is_not_there_says_what_is_looked_for() {
    let tree = Tree::new();
    for (name, path) in [
        ("ade20k", "ade20k/images/training"),
        ("ade20k|validation", "ade20k/images/validation"),
        ("cocostuff", "cocostuff/train2017"),
        ("mapillary", "mapillary/config_v2.0.json"),
        (
            "paco_lvis",
            "vlpart/paco/annotations/paco_lvis_v1_train.json",
        ),
        ("pascal_part", "vlpart/pascal_part/train.json"),
        ("refclef", "refer_seg/refclef/refs(unc).p"),
        ("refcoco+", "refer_seg/refcoco+/refs(unc).p"),
        ("refcocog", "refer_seg/refcocog/refs(umd).p"),
        (
            "llava_instruct_150k",
            "llava_dataset/llava_instruct_150k.json",
        ),
        ("ReasonSeg|train", "reason_seg/ReasonSeg/train"),
    ] {
        let message = tree.refused(name);
        assert!(
            message.contains(path) && message.contains("accepted: "),
            "{message}"
        );
    }
    assert!(tree.refused("coco").contains("accepted: ade20k, "));
}

#[test]
fn class_pictures_are_read_as_they_are_stored() {
    let tree = Tree::new();
    tree.image("ade20k/images/training/a.jpg");
    let label = "ade20k/annotations/training/a.png";
    assert!(tree.refused("ade20k").contains(label));
    let classes = || tree.sample("ade20k").unwrap().classes.unwrap().pixels;
    tree.grey(label, &[1, 2, 0, 255]);
    let none = ClassMap::IGNORED;
    assert_eq!(classes(), [0, 1, none, none]);
    tree.png(
        label,
        png::ColorType::Grayscale,
        png::BitDepth::Four,
        (2, 2),
        &[0x12, 0x30],
    );
    assert_eq!(classes(), [0, 1, 2, none]);
    tree.grey(label, &[200; 4]);
    assert!(tree
        .refused("ade20k")
        .contains("class 200, and ade20k has 150"));
    tree.file(label, "no picture");
    assert!(tree.refused("ade20k").contains(label));

    // Pictures of attributes, which ADE20K itself does not have, are stored like those of classes.
    tree.grey(label, &[1, 2, 0, 255]);
    assert_eq!(tree.sample("ade20k").unwrap().attributes, None);
    tree.file("ade20k/attributes.json", r#"["red","blue"]"#);
    let attributes = "ade20k/attributes/training/a.png";
    assert!(tree.refused("ade20k").contains(attributes));
    tree.grey(attributes, &[2, 1, 0, 0]);
    let sample = tree.sample("ade20k").unwrap();
    assert_eq!(sample.attributes.unwrap().pixels, [1, 0, none, none]);
    assert_eq!(sample.classes.unwrap().pixels, [0, 1, none, none]);
    tree.grey(attributes, &[3, 1, 0, 0]);
    assert!(tree.refused("ade20k").contains("class 3, and ade20k has 2"));

    // The pictures of another split are in folders of their own.
    tree.image("ade20k/images/validation/b.jpg");
    tree.grey("ade20k/annotations/validation/b.png", &[2; 4]);
    tree.grey("ade20k/attributes/validation/b.png", &[1; 4]);
    let held_out = tree.sample("ade20k|validation").unwrap();
    assert_eq!(held_out.classes.unwrap().pixels, [1; 4]);
    assert_eq!(held_out.attributes.unwrap().pixels, [0; 4]);

    let config = r#"{"labels":[{"readable":"Bird"},{"readable":"Ego Vehicle"}]}"#;
    tree.file("mapillary/config_v2.0.json", config);
    let label = "mapillary/training/v2.0/labels/a.png";
    tree.png(
        label,
        png::ColorType::Indexed,
        png::BitDepth::Eight,
        (2, 2),
        &[0, 1, 1, 1],
    );
    let sample = tree.sample("mapillary").unwrap();
    assert!(sample.image.ends_with("mapillary/training/images/a.jpg"));
    let areas: Vec<_> = sample
        .conversations
        .iter()
        .map(|c| (c.phrases[0].as_str(), area(&c.masks[0])))
        .collect();
    assert_eq!(areas.len(), 2);
    assert!(areas.contains(&("bird", 1)) && areas.contains(&("ego vehicle", 3)));

    // 0 is person. 95 is building-other, and classes with a "-" in their names are not used.
    tree.grey("cocostuff/train2017/a.png", &[0, 255, 95, 0]);
    let phrases: Vec<_> = tree
        .sample("cocostuff")
        .unwrap()
        .conversations
        .into_iter()
        .flat_map(|c| c.phrases)
        .collect();
    assert_eq!(phrases, ["person"]);
}

#[test]
fn parts_are_called_by_their_objects() {
    let tree = Tree::new();
    let json = |category: u64| {
        format!(
            r#"{{"images":[{{"id":1,"file_name":"train2017/a.jpg","width":6,"height":4}}],
            "annotations":[{{"id":5,"image_id":1,"category_id":{category},"segmentation":{OUTLINE}}}],
            "categories":[{{"id":3,"name":"knife_(tool):handle"}}]}}"#
        )
    };
    let path = "vlpart/paco/annotations/paco_lvis_v1_train.json";
    tree.file(path, json(3));
    let sample = tree.sample("paco_lvis").unwrap();
    assert!(sample.image.ends_with("coco/train2017/a.jpg"));
    let said = &sample.conversations[0];
    assert!(["knife handle", "the handle of the knife"].contains(&said.phrases[0].as_str()));
    assert!(said.turns[0].question.contains(&said.phrases[0]));
    assert_eq!(area(&said.masks[0]), 6);
    tree.file(path, json(4));
    assert!(tree
        .refused("paco_lvis")
        .contains("category 4, which is not listed"));
    tree.file(path, "{");
    assert!(tree.refused("paco_lvis").contains(path));
}

#[test]
fn expressions_come_with_their_masks() {
    let tree = refer();
    let sample = tree.sample("refcoco").unwrap();
    assert!(sample
        .image
        .ends_with("refer_seg/images/mscoco/images/train2014/a.jpg"));
    assert_eq!(sample.conversations.len(), 2);
    for said in &sample.conversations {
        assert_eq!(area(&said.masks[0]), 6);
        assert!(said.turns[0]
            .question
            .contains(&said.phrases[0].to_lowercase()));
        assert!(said.turns[0].answer.contains("[SEG]"));
    }
    let held_out = ReferDataset::open(tree.root(), "refcoco", "testA", 3).unwrap();
    let item = held_out.item(0).unwrap();
    assert_eq!(held_out.items(), 1);
    assert_eq!((item.expression, area(&item.mask)), ("pot", 4));
    let refused = ReferDataset::open(tree.root(), "refcoco", "val", 3)
        .err()
        .unwrap();
    assert!(
        refused.to_string().contains("there are: train, testA"),
        "{refused}"
    );
    tree.file(
        "refer_seg/refcoco/instances.json",
        r#"{"images":[],"annotations":[]}"#,
    );
    assert!(tree
        .refused("refcoco")
        .contains("instances.json: it has no image 1"));
    tree.file("refer_seg/refcoco/refs(unc).p", "cos\nsystem\n(S'ls'\ntR.");
    assert!(tree
        .refused("refcoco")
        .contains("refs(unc).p: it holds an object of a class"));
}

#[test]
fn dialogues_lose_the_image_s_markup_and_broken_ones_are_named() {
    let item = |talk: &str| {
        vqa(&format!(
            r#"[{{"image":"a.jpg","conversations":[{talk}]}}]"#
        ))
    };
    let (question, answer) = (
        r#"{"from":"human","value":"What is it?\n<image>"}"#,
        r#"{"from":"gpt","value":"A mug."}"#,
    );
    let sample = item(&format!("{question},{answer}"))
        .sample("llava_instruct_150k")
        .unwrap();
    assert!(sample.image.ends_with("coco/train2017/a.jpg"));
    assert_eq!(sample.conversations[0].turns[0].question, "What is it?");
    let empty = r#"{"from":"human","value":"<image>"}"#;
    for (talk, reason) in [
        (String::new(), "no question"),
        (
            format!("{question},{answer},{question}"),
            "ends with a question",
        ),
        (
            format!("{question},{question}"),
            "accepted: human and gpt in turn",
        ),
        (format!("{empty},{answer}"), "an empty question"),
    ] {
        let refused = item(&talk).refused("llava_instruct_150k");
        assert!(
            refused.contains("llava_instruct_150k.json: dialogue 0") && refused.contains(reason),
            "{refused}"
        );
    }
}

#[test]
fn dialogues_about_one_picture_come_together() {
    let talk = |image: &str, question: &str| {
        format!(
            r#"{{"image":"{image}","conversations":[{{"from":"human","value":"{question}"}},{{"from":"gpt","value":"Yes."}}]}}"#
        )
    };
    let dialogues = [("a.jpg", "one"), ("b.jpg", "two"), ("a.jpg", "three")];
    let dialogues = dialogues.map(|(image, question)| talk(image, question));
    let data = vqa(&format!("[{}]", dialogues.join(",")))
        .open("llava_instruct_150k")
        .unwrap();
    assert_eq!(data.len(), 2);
    let asked = |picture| {
        let said = data.sample(picture, &mut rng()).unwrap().conversations;
        let mut asked: Vec<_> = said.iter().map(|c| c.turns[0].question.clone()).collect();
        asked.sort();
        asked
    };
    assert_eq!(asked(0), ["one", "three"]);
    assert_eq!(asked(1), ["two"]);
}

#[test]
fn a_stream_is_a_function_of_seed_and_index() {
    let tree = refer();
    tree.file(
        "llava_dataset/llava_instruct_150k.json",
        r#"[{"image":"a.jpg","conversations":[{"from":"human","value":"What?"},{"from":"gpt","value":"A mug."}]}]"#,
    );
    let group = |datasets: &str, rate| GroupSpec {
        datasets: datasets.to_owned(),
        rate,
    };
    let groups = [group("refcoco", 3.0), group("llava_instruct_150k", 1.0)];
    let open = |seed| Mixture::open(tree.root(), &groups, MixtureOptions::default(), seed).unwrap();
    let plain = open(7);
    let plain: Vec<Sample> = (0..400).map(|i| plain.sample(i).unwrap()).collect();
    for threads in [1, 4] {
        let data = open(7);
        let resumed = Loader::new(threads, 8, 100, move |i| data.sample(i));
        for want in &plain[100..] {
            assert_eq!(&resumed.next().unwrap(), want);
        }
    }
    let dialogues = plain
        .iter()
        .filter(|s| s.source == "llava_instruct_150k")
        .count();
    assert!((70..130).contains(&dialogues), "{dialogues}");
    assert!((0..20).any(|i| open(8).sample(i).unwrap() != plain[i as usize]));
    assert!(open(7)
        .describe()
        .contains("75.0 %  1 images, 2 expressions"));
}

#[test]
fn a_mixture_without_groups_or_with_nothing_to_ask_for_is_refused() {
    let tree = Tree::new();
    tree.image("ade20k/images/training/a.jpg");
    tree.grey("ade20k/annotations/training/a.png", &[0; 4]);
    let open = |rate: Option<f64>| {
        let groups: Vec<_> = rate
            .map(|rate| GroupSpec {
                datasets: "ade20k".into(),
                rate,
            })
            .into_iter()
            .collect();
        Mixture::open(tree.root(), &groups, MixtureOptions::default(), 1)
    };
    let refused = |rate| open(rate).err().unwrap().to_string();
    assert!(refused(None).contains("group"), "{}", refused(None));
    for rate in [0.0, -1.0, f64::NAN] {
        let said = refused(Some(rate));
        assert!(said.contains("rate") && said.contains("accepted"), "{said}");
    }
    let nothing = open(Some(1.0)).unwrap().sample(0).unwrap_err().to_string();
    assert!(
        nothing.contains("ade20k hold nothing to ask for"),
        "{nothing}"
    );
}
