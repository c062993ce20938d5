//! Class names that the datasets' own files do not hold, in their order.

/// ADE20K's 150 (scene parsing challenge).
pub fn ade20k() -> Vec<String> {
    lines(include_str!("names/ade20k.txt"))
}

/// COCO-Stuff's 182 things and stuff; the index is the pixel's value.
pub fn coco_stuff() -> Vec<String> {
    lines(include_str!("names/cocostuff.txt"))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
