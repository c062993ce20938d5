//! Where a report goes.

use std::path::PathBuf;

use super::places;
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
    /// Whether the reports can be written, before anything is measured.
    pub fn check(&self) -> anyhow::Result<()> {
        let files = self.json.iter().chain(&self.html);
        files.into_iter().try_for_each(|file| places::file(file))
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
