//! ReasonSeg's questions, explanations and splits.

use super::testing::{area, reason, rng};
use super::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[test]
fn explanations_are_said_as_often_as_the_reference_says_them() {
    let tree = reason(
        r#"{"text":["what holds tea?"],"is_sentence":true,"shapes":[{"label":"target","points":[[1,1],[3,1],[3,2],[1,2]]}]}"#,
    );
    let dataset = tree.open("ReasonSeg|train").unwrap();
    let mut rng = rng();
    let mut seen = [0; 3];
    for _ in 0..2000 {
        let said = dataset.sample(0, &mut rng).unwrap().conversations.remove(0);
        let turn = &said.turns[0];
        let (seg, why) = (
            turn.answer.contains("[SEG]"),
            turn.answer.ends_with("Because."),
        );
        assert_eq!(said.masks.len(), usize::from(seg));
        assert_eq!(turn.question == "what holds tea?", !seg);
        // An answer in words alone is no refusal if what is asked for is there.
        assert!(!turn.absent);
        seen[match (seg, why) {
            (true, false) => 0,
            (true, true) => 1,
            _ => 2,
        }] += 1;
    }
    assert!(
        (800..1000).contains(&seen[0]) && (800..1000).contains(&seen[1]),
        "{seen:?}"
    );
    assert!((150..250).contains(&seen[2]), "{seen:?}");
    std::fs::remove_file(
        tree.root()
            .join("reason_seg/ReasonSeg/explanatory/train.json"),
    )
    .unwrap();
    // Data without explanations needs no file of them.
    let dataset = tree.open("ReasonSeg|train").unwrap();
    assert!(dataset.describe().ends_with("1 questions, 0 explained"));
    for _ in 0..20 {
        let said = dataset.sample(0, &mut rng).unwrap().conversations.remove(0);
        assert!(!said.turns[0].answer.contains("Because."));
        assert_eq!(said.masks.len(), 1);
    }
}

#[test]
fn what_is_not_there_is_refused_in_words() {
    let tree = reason(
        r#"{"text":["the hammer"],"is_sentence":false,"shapes":[],"history":[
            {"question":"a saw?","answer":"None.","absent":true},{"question":"why?","answer":"So."}]}"#,
    );
    for seed in 0..20 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let said = tree
            .open("ReasonSeg|train")
            .unwrap()
            .sample(0, &mut rng)
            .unwrap();
        let turns = &said.conversations[0].turns;
        assert_eq!(turns[2].answer, "Because.");
        assert!(said.conversations[0].masks.is_empty());
        let absent: Vec<bool> = turns.iter().map(|turn| turn.absent).collect();
        assert_eq!(absent, [true, false, true]);
    }
}

#[test]
fn a_reason_is_asked_for_as_often_where_nothing_is_there() {
    let asked_why = |json: &str| {
        let data = reason(json);
        let data = data.open("ReasonSeg|train").unwrap();
        let mut rng = rng();
        let asks = |_: &usize| {
            let said = data.sample(0, &mut rng).unwrap().conversations.remove(0);
            said.turns[0].question.contains("segmentation mask and")
        };
        (0..1000).filter(asks).count()
    };
    let shape = r#"{"label":"target","points":[[1,1],[3,1],[3,2],[1,2]]}"#;
    let there = format!(r#"{{"text":["what holds tea?"],"is_sentence":true,"shapes":[{shape}]}}"#);
    let absent = r#"{"text":["what holds tea?"],"is_sentence":true,"shapes":[]}"#;
    let own = r#"{"text":["tea"],"is_sentence":false,"shapes":[],"question":"Any tea?"}"#;
    assert!((400..500).contains(&asked_why(&there)));
    assert!((400..500).contains(&asked_why(absent)));
    assert_eq!(asked_why(own), 0);
}

#[test]
fn questions_about_one_picture_come_together() {
    let tree = reason(r#"{"text":["a"],"is_sentence":false,"shapes":[]}"#);
    for name in ["b", "c", "d"] {
        tree.image(&format!("reason_seg/ReasonSeg/train/{name}.jpg"));
        tree.file(
            &format!("reason_seg/ReasonSeg/train/{name}.json"),
            format!(r#"{{"text":["{name}"],"is_sentence":false,"shapes":[]}}"#),
        );
    }
    let list = "reason_seg/ReasonSeg/pictures/train.json";
    tree.file(list, r#"[["b.jpg","c.jpg","d.jpg"]]"#);
    let data = tree.open("ReasonSeg|train").unwrap();
    // The pictures that are listed come first, then those of which only one item is.
    assert_eq!(data.len(), 2);
    let sample = |picture| data.sample(picture, &mut rng()).unwrap().conversations;
    let mut asked: Vec<String> = sample(0).iter().map(|c| c.phrases[0].clone()).collect();
    asked.sort();
    assert_eq!(asked, ["b", "c", "d"]);
    assert_eq!(sample(1).len(), 1);
    tree.file(list, r#"[["b.jpg","x.jpg"]]"#);
    let refused = tree.refused("ReasonSeg|train");
    assert!(refused.contains("pictures/train.json") && refused.contains("x.jpg"));
}

#[test]
fn validation_asks_as_the_reference_does() {
    let square = "[[1,1],[3,1],[3,2],[1,2]]";
    let tree = reason(&format!(
        r#"{{"text":[" The Mug ","second"],"is_sentence":false,"shapes":[{{"label":"target","points":{square}}},
        {{"label":"Ignore","points":{square}}},{{"label":"flag","points":[[0,0],[5,0],[5,3],[0,3]]}}]}}"#
    ));
    let item = ReasonSegDataset::open(tree.root(), "train", 3, -1.0)
        .unwrap()
        .item(0)
        .unwrap();
    assert_eq!(
        item.question,
        "What is The Mug in this image? Please output segmentation mask."
    );
    // Of shapes with equal areas the first is drawn last.
    assert_eq!(area(&item.mask.unwrap()), 6);
    tree.file(
        "reason_seg/ReasonSeg/train/a.json",
        b"{\"text\":[\"caf\xe9\"],\"is_sentence\":true,\"shapes\":[]}",
    );
    let item = ReasonSegDataset::open(tree.root(), "train", 3, -1.0)
        .unwrap()
        .item(0)
        .unwrap();
    assert_eq!(item.question, "café Please output segmentation mask.");
    tree.file("reason_seg/ReasonSeg/train/a.json", "{\"text\": [\"x\"], ");
    assert!(tree
        .refused("ReasonSeg|train")
        .contains("train/a.json: EOF"));
}

#[test]
fn splits_join_and_a_turned_photo_turns_its_mask() {
    let tree = reason(r#"{"text":["x"],"is_sentence":true,"shapes":[]}"#);
    // This is a JPEG whose EXIF block says that the camera was turned.
    let path = tree.root().join("reason_seg/ReasonSeg/train/a.jpg");
    let mut jpeg = std::fs::read(path).unwrap();
    let mut exif =
        b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([6, 0, 0, 0, 0, 0, 0]);
    jpeg.splice(2..2, exif);
    tree.file("reason_seg/ReasonSeg/val/b.jpg", jpeg);
    tree.file(
        "reason_seg/ReasonSeg/val/b.json",
        r#"{"text":["x"],"is_sentence":true,"shapes":[]}"#,
    );
    let dataset = ReasonSegDataset::open(tree.root(), "train_val", 3, 0.1).unwrap();
    assert_eq!(dataset.len(), 2);
    let sizes = [0, 1].map(|i| dataset.item(i).unwrap().mask.map(|m| (m.width, m.height)));
    assert_eq!(sizes[1], Some((4, 6)));
}
