//! Every case as picture files in a folder, with a list of what was asked and answered: to look through all of them, or to show
//! some that a rule picks and not a person, as a model card should.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::case_image::CaseImages;
use super::{Case, EvalError, Verdict};

/// The list: one JSON object a line, in the order of the cases.
const LIST: &str = "cases.jsonl";

/// A folder that gets the pictures of every case: `0007-NAME.jpg` with the predicted mask and the outline of the true one,
/// `0007-NAME-attention.jpg` with the attention of the guided head where the model has one, and `cases.jsonl`.
#[derive(Clone, Debug)]
pub struct PictureFolder {
    folder: PathBuf,
    written: usize,
}

/// A line of the list.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    kind: &'a str,
    /// Questions and answers before this one.
    history: Vec<[&'a str; 2]>,
    question: &'a str,
    answer: &'a str,
    /// Whether what is asked for is not in the picture.
    absent: bool,
    /// 0 to 1; of what is absent 1 where it was refused.
    iou: f64,
    /// Files in the folder.
    picture: &'a str,
    attention: Option<&'a str>,
}

impl PictureFolder {
    /// Begins the list in a folder, which is made where it is not there. The caller has seen to it that the folder is empty, so
    /// that no picture of another run is taken for one of this; `lisa eval` does so before it loads the model.
    ///
    /// # Errors
    /// [`EvalError::Write`], also where the folder has the list of another run.
    pub fn create(folder: &Path) -> Result<Self, EvalError> {
        let write = |source| EvalError::Write {
            path: folder.to_owned(),
            source,
        };
        lisa_files::make_folder(folder).map_err(write)?;
        File::create_new(folder.join(LIST)).map_err(write)?;
        Ok(Self {
            folder: folder.to_owned(),
            written: 0,
        })
    }

    /// Writes the pictures of a case and its line.
    pub(super) fn add(
        &mut self,
        case: &Case<'_>,
        verdict: &Verdict,
        pictures: &CaseImages,
    ) -> Result<(), EvalError> {
        self.written += 1;
        let stem = format!("{:04}-{}", self.written, file_name(case.name));
        let picture = format!("{stem}.jpg");
        self.write(&picture, |path| fs::write(path, &pictures.masks.jpeg))?;
        let attention = format!("{stem}-attention.jpg");
        let attention = match &pictures.attention {
            Some(drawn) => {
                self.write(&attention, |path| fs::write(path, &drawn.jpeg))?;
                Some(attention)
            }
            None => None,
        };
        let history = case.history.iter();
        let line = Line {
            name: case.name,
            kind: case.kind,
            history: history
                .map(|turn| [&*turn.question, &*turn.answer])
                .collect(),
            question: case.instruction,
            answer: case.answer,
            absent: case.truth.is_none(),
            iou: verdict.iou,
            picture: &picture,
            attention: attention.as_deref(),
        };
        self.write(LIST, |path| {
            let mut line = serde_json::to_vec(&line)?;
            line.push(b'\n');
            OpenOptions::new().append(true).open(path)?.write_all(&line)
        })
    }

    fn write(
        &self,
        name: &str,
        write: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<(), EvalError> {
        let path = self.folder.join(name);
        write(&path).map_err(|source| EvalError::Write { path, source })
    }
}

/// A case's name as a file's: names hold paths of pictures and what people have written.
fn file_name(name: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = name.chars().map(|c| if kept(c) { c } else { '-' });
    name.take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::super::case_image::draw;
    use super::super::testing::{case, mask, truth};
    use super::*;

    #[test]
    fn every_case_has_its_picture_and_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("pictures");
        let mut pictures = PictureFolder::create(&folder).unwrap();
        let image = ::image::RgbImage::new(2, 1);
        let (predicted, there) = (mask(2, 1, &[255, 0]), truth(2, 1, &[1, 1]));
        let refused = case("scene 7/absent", "absent");
        let found = Case {
            truth: Some(&there),
            predicted: Some(&predicted),
            emitted: Some(1),
            ..case("scene 7/explicit", "explicit")
        };
        for case in [refused, found] {
            let (verdict, drawn) = (case.verdict().unwrap(), draw(&case, &image).unwrap());
            pictures.add(&case, &verdict, &drawn).unwrap();
        }
        let list = fs::read_to_string(folder.join(LIST)).unwrap();
        let lines = list.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<serde_json::Value> = lines.collect();
        let named = ["0001-scene-7-absent.jpg", "0002-scene-7-explicit.jpg"];
        for (line, name) in lines.iter().zip(named) {
            assert_eq!(line["picture"], name);
            assert!(folder.join(name).is_file(), "{name}");
        }
        assert_eq!(lines[0]["absent"], true);
        // As the reference has it, the union counts a hundred-thousandth more.
        assert_eq!(lines[1]["iou"], 1.0 / (2.0 + 1e-5));
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn the_list_of_another_run_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join(LIST);
        fs::write(&list, "another run's").unwrap();
        PictureFolder::create(folder.path()).unwrap_err();
        assert_eq!(fs::read_to_string(list).unwrap(), "another run's");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
