//! A folder of pictures, each with a JSON file of the same name that labels it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::files::{broken, entries};
use super::json::read_json;
use super::schema::Schema;
use super::DataError;

/// Endings of pictures' names, in small or capital letters. If there are pictures with several of them, the first counts, since
/// the reference knows only `.jpg`.
pub(super) const PICTURE_ENDINGS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "bmp"];

/// A picture and its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labelled {
    /// The picture's file; that of the labels, if they hold the picture as LabelMe's `imageData`.
    pub picture: PathBuf,
    /// The JSON file.
    pub labels: PathBuf,
}

impl Labelled {
    /// The names by which other files may refer to the picture. A picture that is held by its labels has the names that a file
    /// of it could have.
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

/// The contents of a folder.
pub(super) struct Folder {
    /// Labelled pictures, sorted by the paths of the pictures.
    pub labelled: Vec<Labelled>,
    /// A line for each reason why other files are left out, which counts and names them.
    pub left_out: Vec<String>,
}

/// Files whose names differ only in their endings.
#[derive(Default)]
struct Namesakes {
    pictures: Vec<PathBuf>,
    labels: Option<PathBuf>,
}

/// Looks through a folder. `accepted` is the layout, for the error.
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

/// Whether labels without a picture beside them may hold the picture. Labels that cannot be read count as if they did, so that
/// reading them later gives the error.
fn may_hold_picture(labels: &Path) -> bool {
    match read_json::<Value>(labels, &Schema::Any) {
        Ok(value) => value.get("imageData").is_some_and(Value::is_string),
        Err(_) => true,
    }
}

/// A line like `3 pictures without a JSON: a.jpg, b.jpg, c.jpg`; `None` if there are no paths.
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
