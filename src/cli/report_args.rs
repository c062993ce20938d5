//! Where a report goes.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::places::{self, Output};
use super::streams;
use lisa::eval::{write_html, Gallery, Report};

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
    /// Print every question, what became of it and its IoU
    #[arg(long)]
    pub list: bool,
}

impl ReportArgs {
    /// Whether the reports can be written, over nothing that is `read` and over none of each other, before anything is
    /// measured.
    pub fn check(&self, read: &[&Path]) -> anyhow::Result<()> {
        let files: Vec<Output> = [("--json", &self.json), ("--html", &self.html)]
            .into_iter()
            .filter_map(|(option, file)| Some(Output::new(option, file.as_deref()?)))
            .collect();
        files.iter().try_for_each(|file| places::file(file.path))?;
        places::distinct(&files, read)
    }

    /// Whether anything is written to files.
    pub fn writes(&self) -> bool {
        self.json.is_some() || self.html.is_some()
    }

    /// Whether no report would be written over a file of a data set, before it is read.
    pub fn check_data(&self, data: &Path) -> anyhow::Result<()> {
        let Ok(data) = data.canonicalize() else {
            return Ok(());
        };
        for file in self.json.iter().chain(&self.html) {
            // One that is not there yet is in nobody's way.
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

    /// Prints what became of a question, where that is asked for. `goes_on`: something else comes of the command. Where
    /// nothing does and nobody reads the lines, it ends.
    pub fn list(&self, line: impl Display, goes_on: bool) {
        if self.list {
            streams::print(line);
            if !goes_on {
                streams::end_unless_heard();
            }
        }
    }

    /// Pictures to keep while cases go by: none where no page is written.
    pub fn pictures(&self) -> usize {
        match self.html {
            Some(_) => self.shown,
            None => 0,
        }
    }

    /// Writes the page, where one is asked for, and says where it is.
    pub fn write_html(&self, report: &Report, gallery: &Gallery) -> anyhow::Result<()> {
        if let Some(file) = &self.html {
            write_html(report, gallery, file)?;
            say!("{}", file.display());
        }
        Ok(())
    }
}
