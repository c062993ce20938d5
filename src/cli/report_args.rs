//! Arguments of commands that write a report.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::output_paths::{self, OutputFile};
use super::streams;
use lisa::eval::{write_html, Gallery, PictureFolder, Report};

/// What a command that measures writes and prints.
#[derive(clap::Args)]
pub struct ReportArgs {
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as one page with pictures
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Cases shown on the page
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub shown: usize,
    /// Write a picture of every question into this new or empty folder, and cases.jsonl with questions and answers
    #[arg(long, value_name = "DIR")]
    pub pictures: Option<PathBuf>,
    /// Print every question, what became of it and its IoU
    #[arg(long)]
    pub list: bool,
}

impl ReportArgs {
    /// Checks before anything is measured that the reports can be written, and that they overwrite neither a file of `read` nor
    /// each other.
    pub fn check(&self, read: &[&Path]) -> anyhow::Result<()> {
        let files: Vec<OutputFile> = [("--json", &self.json), ("--html", &self.html)]
            .into_iter()
            .filter_map(|(option, file)| Some(OutputFile::new(option, file.as_deref()?)))
            .collect();
        if let Some(folder) = &self.pictures {
            output_paths::check_folder(folder)?;
            if folder.read_dir()?.next().is_some() {
                bail!(
                    "{} is not empty; accepted: a new or an empty folder for pictures",
                    folder.display()
                );
            }
        }
        files
            .iter()
            .try_for_each(|file| output_paths::check_file(file.path))?;
        output_paths::check_distinct(&files, read)
    }

    /// Whether a report is written to a file.
    pub fn writes(&self) -> bool {
        self.json.is_some() || self.html.is_some() || self.pictures.is_some()
    }

    /// Checks that no report would overwrite a file of the dataset in `data`.
    pub fn check_data(&self, data: &Path) -> anyhow::Result<()> {
        let Ok(data) = data.canonicalize() else {
            return Ok(());
        };
        for file in self.json.iter().chain(&self.html) {
            // A report that does not exist yet cannot overwrite anything.
            if file
                .canonicalize()
                .is_ok_and(|file| file.starts_with(&data))
            {
                bail!(
                    "a report would be written over {}, a file of the data; accepted: the name of another file",
                    file.display()
                );
            }
        }
        Ok(())
    }

    /// Prints a line about a question if `--list` is given. `goes_on` says that the command has other results than its lines;
    /// without them it ends when nobody reads its lines any more.
    pub fn list(&self, line: impl Display, goes_on: bool) {
        if self.list {
            streams::print(line);
            if !goes_on {
                streams::end_unless_written();
            }
        }
    }

    /// What keeps pictures while cases go by: for the page and in the folder, if these are asked for.
    ///
    /// # Errors
    /// The folder cannot be made or written to. That it is empty was looked at by [`check`](Self::check).
    pub fn gallery(&self) -> anyhow::Result<Gallery> {
        let shown = self.html.as_ref().map_or(0, |_| self.shown);
        let gallery = Gallery::new(shown);
        Ok(match &self.pictures {
            Some(folder) => gallery.writing_all(PictureFolder::create(folder)?),
            None => gallery,
        })
    }

    /// Writes the page if it is asked for, and prints its path.
    pub fn write_html(&self, report: &Report, gallery: &Gallery) -> anyhow::Result<()> {
        if let Some(file) = &self.html {
            write_html(report, gallery, file)?;
            say!("{}", file.display());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_for_pictures_that_holds_something_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine"), "").unwrap();
        let args = ReportArgs {
            json: None,
            html: None,
            shown: 0,
            pictures: Some(folder.path().to_owned()),
            list: false,
        };
        let refused = args.check(&[]).unwrap_err().to_string();
        assert!(refused.contains("is not empty; accepted: "), "{refused}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
