//! Names of classes, in the order of their indices, for the datasets whose files do not hold them.

/// The 150 classes of ADE20K (scene parsing challenge).
pub fn ade20k() -> Vec<String> {
    lines(include_str!("names/ade20k.txt"))
}

/// The 182 things and stuff of COCO-Stuff; a class's index is the value of its pixels.
pub fn coco_stuff() -> Vec<String> {
    lines(include_str!("names/cocostuff.txt"))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
