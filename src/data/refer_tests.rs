//! The refer datasets' splits and annotations, as published and as converters write them.

use super::testing::{area, refer, Tree};
use super::*;

const INSTANCES: &str = "refer_seg/refcoco/instances.json";

/// Expressions as (split, picture, annotation); the n-th is called `n`.
fn pickled(refs: &[(&str, u64, u64)]) -> Vec<u8> {
    let mut pickle = b"(l".to_vec();
    for (i, (split, image, annotation)) in refs.iter().enumerate() {
        let text = format!(
            "(dS'ann_id'\nI{annotation}\nsS'image_id'\nI{image}\nsS'split'\nS'{split}'\nsS'sentences'\n(l(dS'sent'\nS'{i}'\nsasa"
        );
        pickle.extend(text.bytes());
    }
    pickle.push(b'.');
    pickle
}

/// Pictures 1 and 2, of 6×4 pixels.
fn tree(refs: &[(&str, u64, u64)], annotations: &str) -> Tree {
    let tree = Tree::new();
    tree.file("refer_seg/refcoco/refs(unc).p", pickled(refs));
    tree.file(
        INSTANCES,
        format!(
            r#"{{"images":[{{"id":1,"file_name":"a.jpg","width":6,"height":4}},{{"id":2,"file_name":"b.jpg","width":6,"height":4}}],
            "annotations":[{annotations}]}}"#
        ),
    );
    tree
}

fn annotation(image: u64, id: u64, segmentation: &str) -> String {
    format!(r#"{{"id":{id},"image_id":{image},"segmentation":{segmentation}}}"#)
}

const SIX: &str = "[[1,1,4,1,4,3,1,3]]";
const TWO: &str = "[[1,1,3,1,3,2,1,2]]";

#[test]
fn splits_are_chosen_as_the_reference_chooses_them() {
    let splits = [
        "train", "val", "test", "testA", "testB", "testC", "testAB", "testBC", "dev",
    ];
    let refs: Vec<_> = splits.iter().map(|split| (*split, 1, 7)).collect();
    let tree = tree(&refs, &annotation(1, 7, SIX));
    let chosen = |split: &str| {
        let data = ReferDataset::open(tree.root(), "refcoco", split, 3).unwrap();
        let chosen = (0..data.items()).map(|i| {
            let item = data.item(i).unwrap();
            splits[item.expression.parse::<usize>().unwrap()]
        });
        chosen.collect::<Vec<_>>().join(" ")
    };
    for (split, want) in [
        ("train", "train"),
        ("val", "val"),
        ("test", "test testA testB testC testAB testBC"),
        ("testA", "testA testAB"),
        ("testB", "testB testAB testBC"),
        ("testC", "testC testBC"),
        ("testAB", "testAB"),
        ("testBC", "testBC"),
        ("dev", "dev"),
    ] {
        assert_eq!(chosen(split), want, "{split}");
    }
    let refused = ReferDataset::open(tree.root(), "refcoco", "testAC", 3).err();
    let refused = refused.unwrap().to_string();
    assert!(
        refused.contains("'testAC'") && refused.contains("there are: train, val"),
        "{refused}"
    );
}

#[test]
fn annotations_are_looked_up_by_picture_and_number() {
    let both = [annotation(1, 7, SIX), annotation(2, 7, TWO)].join(",");
    let tree = tree(&[("train", 1, 7), ("train", 2, 7), ("train", 2, 7)], &both);
    let data = ReferDataset::open(tree.root(), "refcoco", "train", 3).unwrap();
    let areas: Vec<usize> = (0..3).map(|i| area(&data.item(i).unwrap().mask)).collect();
    assert_eq!(areas, [6, 2, 2]);
}

#[test]
fn annotations_that_are_missing_or_said_twice_are_named() {
    let refused = |annotations: &[String]| {
        let tree = tree(&[("train", 1, 7)], &annotations.join(","));
        let opened = ReferDataset::open(tree.root(), "refcoco", "train", 3);
        opened.map(|_| ()).map_err(|e| e.to_string())
    };
    let other = refused(&[annotation(2, 7, SIX)]).unwrap_err();
    assert!(
        other.contains("instances.json: image 1 has no annotation 7, which is of image 2"),
        "{other}"
    );
    let none = refused(&[annotation(1, 8, SIX)]).unwrap_err();
    assert!(none.ends_with("image 1 has no annotation 7"), "{none}");
    let twice = refused(&[annotation(1, 7, SIX), annotation(1, 7, TWO)]).unwrap_err();
    assert!(
        twice.contains("image 1 has annotation 7 more than once"),
        "{twice}"
    );
    // An annotation that is repeated word for word is accepted, and so is a contradiction in one that no expression uses.
    refused(&[annotation(1, 7, SIX), annotation(1, 7, SIX)]).unwrap();
    let others = [
        annotation(1, 8, SIX),
        annotation(1, 8, TWO),
        annotation(1, 7, SIX),
    ];
    refused(&others).unwrap();

    let tree = refer();
    let image = r#"{"id":1,"file_name":"a.jpg","width":6,"height":4}"#;
    tree.file(
        INSTANCES,
        format!(r#"{{"images":[{image},{image}],"annotations":[]}}"#),
    );
    assert!(tree.refused("refcoco").contains("image 1 is listed twice"));
}

#[test]
fn a_segmentation_that_is_none_is_told_by_file_and_annotation() {
    for (segmentation, said) in [
        (
            "[1,1,4,1,4,3,1,3]",
            "is a flat list of 8 numbers; accepted: outlines [[x, y, x, y, …], …]",
        ),
        ("null", "is null; accepted: "),
        (r#""1 1 4 1""#, "is \"1 1 4 1\"; accepted: "),
        (
            r#"[["1","1","4","1","4","3"]]"#,
            "holds \"1\" at [0][0]; accepted: ",
        ),
        (
            "[[90,1,94,1,94,3]]",
            "lie outside of the picture: x 90 to 94 and y 1 to 3 of 6×4",
        ),
    ] {
        let tree = tree(&[("train", 1, 7)], &annotation(1, 7, segmentation));
        let refused = tree.refused("refcoco");
        assert!(
            refused.contains("instances.json: annotation 7: ") && refused.contains(said),
            "{refused}"
        );
        let checked = tree.open("refcoco").unwrap().check(0);
        assert_eq!(checked[0].to_string(), refused);
    }
    let without = r#"{"id":7,"image_id":1}"#;
    let refused = tree(&[("train", 1, 7)], without).refused("refcoco");
    assert!(
        refused.contains("annotation 7: its segmentation is null"),
        "{refused}"
    );
}

#[test]
fn annotations_without_a_mask_are_left_out_and_instances_of_another_form_are_told_where() {
    let both = [annotation(1, 7, "[]"), annotation(2, 7, TWO)].join(",");
    let refs = [
        ("train", 1, 7),
        ("train", 1, 7),
        ("train", 2, 7),
        ("val", 1, 7),
    ];
    let tree = tree(&refs, &both);
    let open = |split: &str| ReferDataset::open(tree.root(), "refcoco", split, 3);
    let data = open("train").unwrap();
    assert_eq!((data.len(), data.items()), (1, 1));
    assert_eq!(area(&data.item(0).unwrap().mask), 2);
    let refused = open("val").err().unwrap().to_string();
    let words = "split 'val' has 1 annotation without a mask (segmentation is []): 7";
    assert!(refused.contains(words), "{refused}");
    // A list with an empty outline does not say that there is no mask, and is an error.
    tree.file(
        INSTANCES,
        format!(
            r#"{{"images":[{{"id":1,"file_name":"a.jpg","width":6,"height":4}}],"annotations":[{}]}}"#,
            annotation(1, 7, "[[]]")
        ),
    );
    let refused = open("val").unwrap().item(0).err().unwrap().to_string();
    assert!(
        refused.contains("annotation 7: a polygon has 0"),
        "{refused}"
    );
    for (json, said) in [
        ("[]", "accepted: an object with images and annotations"),
        (
            r#"{"images":[{"id":"1","file_name":"a.jpg","width":6,"height":4}],"annotations":[]}"#,
            "instances.json: images[0].id is \"1\"; accepted: a whole number",
        ),
    ] {
        tree.file(INSTANCES, json);
        let refused = open("train").err().unwrap().to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn an_expression_without_a_word_is_named() {
    let tree = tree(&[("train", 1, 7)], &annotation(1, 7, SIX));
    let empty = "(l(dS'ann_id'\nI7\nsS'image_id'\nI1\nsS'split'\nS'train'\nsS'sentences'\n(l(dS'sent'\nS' '\nsasa.";
    tree.file("refer_seg/refcoco/refs(unc).p", empty);
    let refused = tree.refused("refcoco");
    let words = "refs(unc).p: an expression for annotation 7 in a.jpg is empty; accepted: words";
    assert!(refused.contains(words), "{refused}");
    let checked = tree.open("refcoco").unwrap().check(0);
    assert!(checked.iter().any(|error| error.to_string() == refused));
    let data = ReferDataset::open(tree.root(), "refcoco", "train", 3).unwrap();
    assert_eq!(data.item(0).err().unwrap().to_string(), refused);
}

#[test]
fn parts_that_are_listed_twice_are_named() {
    let json = |images: &str, categories: &str| {
        format!(
            r#"{{"images":[{images}],"annotations":[{{"id":5,"image_id":1,"category_id":3,"segmentation":[1,2,3]}}],
            "categories":[{categories}]}}"#
        )
    };
    let image = r#"{"id":1,"file_name":"train2017/a.jpg","width":6,"height":4}"#;
    let category = r#"{"id":3,"name":"knife"}"#;
    let tree = Tree::new();
    let path = "vlpart/paco/annotations/paco_lvis_v1_train.json";
    for (json, said) in [
        (
            json(&format!("{image},{image}"), category),
            "image 1 is listed twice",
        ),
        (
            json(image, &format!("{category},{category}")),
            "category 3 is listed twice",
        ),
        (
            json(image, category),
            "annotation 5: its segmentation is a flat list of 3 numbers",
        ),
    ] {
        tree.file(path, json);
        let refused = tree.refused("paco_lvis");
        assert!(
            refused.contains(path) && refused.contains(said),
            "{refused}"
        );
    }
}
