//! [`DownloadProgress`]: shows a download on a terminal as bars, and elsewhere as lines.

use std::io::IsTerminal;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use model_hub::Event;

/// Shows the events of a download on standard error.
pub struct DownloadProgress {
    /// The bars, where standard error is a terminal.
    bars: Option<(MultiProgress, ProgressBar, ProgressBar)>,
    /// Whether the files are worth a word: the small ones that come first are not.
    shown: bool,
    files: usize,
    /// Files that are done, and their bytes.
    done: (usize, u64),
    /// Bytes of all files.
    total: u64,
    name: String,
    size: u64,
    /// Tenths of the whole that were printed.
    tenths: u64,
}

impl DownloadProgress {
    pub fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let bar = |template: &str| {
                let bar = all.add(ProgressBar::new(0));
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style);
                }
                bar
            };
            let whole = bar("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta:>4} {wide_msg}");
            let file = bar("{bar:30} {bytes}/{total_bytes} {wide_msg}");
            (all, whole, file)
        });
        Self {
            bars,
            shown: false,
            files: 0,
            done: (0, 0),
            total: 0,
            name: String::new(),
            size: 0,
            tenths: 0,
        }
    }

    /// What comes now is the large part.
    pub fn whole(&mut self) {
        self.shown = true;
    }

    pub fn show(&mut self, event: &Event<'_>) {
        match *event {
            Event::Note(text) => self.line(&format!("lisa: {text}")),
            _ if !self.shown => {}
            Event::Begin { files, bytes } => {
                (self.files, self.total) = (files, bytes);
                match &self.bars {
                    Some((_, whole, _)) => whole.set_length(bytes),
                    None => self.line(&format!("fetching {files} files, {}", HumanBytes(bytes))),
                }
            }
            Event::File { name, size } => {
                (self.name, self.size) = (name.to_owned(), size);
                let number = self.done.0 + 1;
                match &self.bars {
                    Some((_, whole, file)) => {
                        whole.set_message(format!("file {number} of {}", self.files));
                        file.set_length(size);
                        file.set_message(self.name.clone());
                    }
                    None => self.line(&format!("{name}, {}", HumanBytes(size))),
                }
                self.at(0);
            }
            Event::At(at) => self.at(at),
            Event::Done => {
                self.done = (self.done.0 + 1, self.done.1 + self.size);
                (self.size, self.name) = (0, String::new());
                self.at(0);
            }
        }
    }

    fn at(&mut self, at: u64) {
        let all = self.done.1 + at;
        if let Some((_, whole, file)) = &self.bars {
            whole.set_position(all);
            file.set_position(at);
            return;
        }
        let tenths = (all.saturating_mul(10))
            .checked_div(self.total)
            .unwrap_or(10);
        if tenths > self.tenths {
            self.tenths = tenths;
            self.line(&format!("{} % of {}", tenths * 10, HumanBytes(self.total)));
        }
    }

    /// Removes the bars.
    pub fn finish(&self) {
        if let Some((_, whole, file)) = &self.bars {
            file.finish_and_clear();
            whole.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            // Above the bars. The terminal may have gone, and the download matters more.
            Some((all, ..)) => drop(all.println(text)),
            None => note!("{text}"),
        }
    }
}

impl Drop for DownloadProgress {
    fn drop(&mut self) {
        self.finish();
    }
}
