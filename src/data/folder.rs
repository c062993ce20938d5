//! A folder of pictures, each with a JSON file of the same name that labels it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::files::{broken, entries};
use super::form::Form;
use super::json::read_json;
use super::DataError;

/// How a picture's name may end, in small and capital letters; of several the first is taken, as the reference knows
/// `.jpg` alone.
pub(super) const PICTURE_ENDINGS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "bmp"];

/// A picture and its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labelled {
    /// The labels themselves, where they hold the picture as LabelMe's `imageData`.
    pub picture: PathBuf,
    pub labels: PathBuf,
}

impl Labelled {
    /// What other files may call the picture. One that is held by its labels is called as its file would be.
    pub fn names(&self) -> Vec<String> {
        let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
        let held = self.picture == self.labels;
        let endings = PICTURE_ENDINGS.iter().filter(|_| held);
        let files = endings.map(|ending| self.labels.with_extension(ending));
        std::iter::once(self.picture.clone())
            .chain(files)
            .filter_map(|path| name(&path))
            .collect()
    }
}

/// What a folder holds.
pub(super) struct Folder {
    /// Sorted by the paths of their pictures.
    pub labelled: Vec<Labelled>,
    /// What else lies there, in words: a line for each reason why it is left out.
    pub left_out: Vec<String>,
}

/// Files of one name, but for their endings.
#[derive(Default)]
struct Namesakes {
    pictures: Vec<PathBuf>,
    labels: Option<PathBuf>,
}

/// Looks through a folder. `accepted` is the layout, for an error.
///
/// # Errors
/// A folder that is missing or holds no labelled picture, by its path.
pub(super) fn labelled_pictures(folder: &Path, accepted: &str) -> Result<Folder, DataError> {
    let (mut names, mut others, mut folders) = (BTreeMap::new(), Vec::new(), Vec::new());
    for path in entries(folder, accepted)? {
        if path.is_dir() {
            folders.push(path);
            continue;
        }
        let Some(stem) = path.file_stem().map(OsString::from) else {
            continue;
        };
        let names: &mut Namesakes = names.entry(stem).or_default();
        match ending(&path).as_str() {
            "json" if names.labels.is_none() => names.labels = Some(path),
            end if rank(end).is_some() => names.pictures.push(path),
            _ => others.push(path),
        }
    }
    let (mut unlabelled, mut second, mut without) = (Vec::new(), Vec::new(), Vec::new());
    let mut labelled = Vec::new();
    for Namesakes {
        mut pictures,
        labels,
    } in names.into_values()
    {
        let Some(labels) = labels else {
            unlabelled.extend(pictures);
            continue;
        };
        pictures.sort_by_key(|path| rank(&ending(path)));
        let mut pictures = pictures.into_iter();
        match pictures.next() {
            Some(picture) => labelled.push(Labelled { picture, labels }),
            None if may_hold_picture(&labels) => labelled.push(Labelled {
                picture: labels.clone(),
                labels,
            }),
            None => without.push(labels),
        }
        second.extend(pictures);
    }
    labelled.sort_by(|a, b| a.picture.cmp(&b.picture));
    let left_out: Vec<String> = [
        count(&unlabelled, "picture", "without a JSON"),
        count(&without, "JSON", "without a picture or imageData"),
        count(&second, "picture", "beside another one of the same name"),
        count(
            &others,
            "file",
            "of no known kind (jpg, jpeg, png, webp, bmp, json)",
        ),
        count(&folders, "folder", "not looked into"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if labelled.is_empty() {
        let holds = match left_out.is_empty() {
            true => "nothing".to_owned(),
            false => left_out.join("; "),
        };
        return Err(broken(folder)(format!(
            "it holds no labelled picture, but {holds}; accepted: {accepted}"
        )));
    }
    Ok(Folder { labelled, left_out })
}

fn ending(path: &Path) -> String {
    let ending = path.extension().unwrap_or_default();
    ending.to_string_lossy().to_lowercase()
}

fn rank(ending: &str) -> Option<usize> {
    PICTURE_ENDINGS.iter().position(|known| *known == ending)
}

/// Whether labels without a picture beside them hold it. Those that cannot be read count as such, so that whoever reads
/// them says what is wrong.
fn may_hold_picture(labels: &Path) -> bool {
    match read_json::<Value>(labels, &Form::Any) {
        Ok(value) => value.get("imageData").is_some_and(Value::is_string),
        Err(_) => true,
    }
}

/// E.g. `3 pictures without a JSON: a.jpg, b.jpg, c.jpg`; nothing of none.
pub(super) fn count(paths: &[PathBuf], what: &str, why: &str) -> Option<String> {
    const SHOWN: usize = 5;
    let names = paths.iter().take(SHOWN).map(|path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    });
    let names: Vec<String> = names.collect();
    let more = match paths.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let plural = if paths.len() == 1 { "" } else { "s" };
    let count = paths.len();
    (count > 0).then(|| format!("{count} {what}{plural} {why}: {}{more}", names.join(", ")))
}
