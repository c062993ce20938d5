//! The output for an answer: image files, a line of JSON, a line of times.

use std::path::{Path, PathBuf};

use anyhow::Context;
use image::RgbImage;
use lisa::engine::{Answer, Timings};
use lisa::image::paste_mask;
use serde_json::{json, Value};

/// The image files of one answer.
pub struct Files {
    pub overlay: PathBuf,
    /// The union of all objects' masks at the frame's size, 0 or 255; `None` if no object was named.
    pub mask: Option<PathBuf>,
    /// The mask of each object, at the frame's size.
    pub objects: Vec<PathBuf>,
    /// Where the model looked; `None` if that was not asked for.
    pub attention: Option<PathBuf>,
}

/// Writes `STEM_overlay.png`, `STEM_mask.png` and `STEM_mask_N.png`.
pub fn write_pictures(
    folder: &Path,
    stem: &str,
    frame: &RgbImage,
    instruction: &str,
    answer: &Answer,
) -> anyhow::Result<Files> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let path = |suffix: &str| folder.join(format!("{stem}_{suffix}.png"));
    let overlay = path("overlay");
    let drawn = answer.overlay(frame, instruction, 0.5);
    drawn
        .save(&overlay)
        .with_context(|| format!("cannot write {}", overlay.display()))?;

    let (width, height) = frame.dimensions();
    let mut files = Files {
        overlay,
        mask: None,
        objects: Vec::new(),
        attention: None,
    };
    if let Some(union) = answer.union_mask(width, height) {
        let mask = path("mask");
        union
            .save(&mask)
            .with_context(|| format!("cannot write {}", mask.display()))?;
        files.mask = Some(mask);
    }
    for object in &answer.objects {
        let mut full = image::GrayImage::new(width, height);
        paste_mask(&mut full, object.roi, &object.mask);
        let mask = path(&format!("mask_{}", object.index));
        full.save(&mask)
            .with_context(|| format!("cannot write {}", mask.display()))?;
        files.objects.push(mask);
    }
    Ok(files)
}

/// The stem of a file that [`write_pictures`] may have written: `mug` of `mug_overlay.png`, `mug_mask.png` and `mug_mask_0.png`.
pub fn stem_of(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(".png")?;
    let (before, number) = name.rsplit_once('_')?;
    let mask = || {
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        before.strip_suffix("_mask").filter(|_| digits)
    };
    match number {
        "overlay" | "mask" => Some(before),
        _ => mask(),
    }
}

pub fn to_json(image: &Path, instruction: &str, answer: &Answer, files: &Files) -> Value {
    let objects: Vec<Value> = answer
        .objects
        .iter()
        .zip(&files.objects)
        .map(|(object, file)| {
            json!({
                "id": object.index,
                "label": object.label,
                "score": object.score,
                "roi": {"x": object.roi.x, "y": object.roi.y, "width": object.roi.width, "height": object.roi.height},
                "area": object.area,
                "mask": in_json(file),
            })
        })
        .collect();
    json!({
        "image": in_json(image),
        "instruction": instruction,
        "status": answer.status.name(),
        "answer": answer.text,
        "objects": objects,
        "mask": files.mask.as_deref().map(in_json),
        "overlay": in_json(&files.overlay),
        "attention": answer.attention.as_ref().map(|attention| json!({
            "on_image": attention.on_image(),
            "on_s": attention.sink,
            "picture": files.attention.as_deref().map(in_json),
        })),
        "tokens": answer.tokens,
        "truncated": answer.truncated,
        "notes": answer.notes,
        "seconds": seconds(&answer.timings),
    })
}

/// A path as a JSON string, in which bytes that are not UTF-8 are replaced.
fn in_json(path: &Path) -> std::borrow::Cow<'_, str> {
    path.to_string_lossy()
}

fn seconds(timings: &Timings) -> Value {
    let named = timings.named_seconds();
    Value::Object(named.map(|(name, s)| (name.to_owned(), json!(s))).collect())
}

/// "preprocess 12 ms, clip 40 ms, …, total 1.2 s".
pub fn timing_line(timings: &Timings) -> String {
    let mut parts: Vec<String> = timings
        .stages()
        .filter(|(_, time)| time.as_micros() >= 100)
        .map(|(stage, time)| format!("{} {}", stage.name(), in_words(time)))
        .collect();
    parts.push(format!("total {}", in_words(timings.total)));
    parts.join(", ")
}

fn in_words(time: std::time::Duration) -> String {
    match time.as_secs_f64() {
        s if s >= 1.0 => format!("{s:.2} s"),
        s => format!("{:.1} ms", s * 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_an_answer_are_known_by_their_names() {
        for (name, stem) in [
            ("out/mug_overlay.png", Some("mug")),
            ("mug_mask.png", Some("mug")),
            ("a_mask_mask_12.png", Some("a_mask")),
            ("mug_mask_x.png", None),
            ("mug_mask_.png", None),
            ("mug_overlay.jpg", None),
            ("mug.png", None),
        ] {
            assert_eq!(stem_of(Path::new(name)), stem, "{name}");
        }
    }
}
