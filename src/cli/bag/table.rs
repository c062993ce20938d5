//! The table `frames.csv` of extracted frames, in the order of the recording whichever thread finishes first.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::Path;

use serde::Serialize;

/// The names of the columns, which are there even where no row is.
const COLUMNS: [&str; 5] = ["file", "stamp_ns", "frame_id", "log_time_ns", "encoding"];

/// A line of the table, its fields in the order of [`COLUMNS`].
#[derive(Serialize)]
pub struct Row {
    /// The file's name within the folder.
    pub file: String,
    /// The stamp of the message's header, nanoseconds.
    pub stamp: i64,
    /// The `frame_id` of the message's header.
    pub frame_id: String,
    /// When it was recorded, nanoseconds.
    pub log_time: u64,
    /// The image's encoding, or the compressed image's format.
    pub encoding: String,
}

/// The file, and the rows that wait for those before them.
pub struct Table {
    out: csv::Writer<File>,
    next: usize,
    waiting: BTreeMap<usize, Option<Row>>,
}

impl Table {
    /// Creates the file and writes its first line.
    pub fn create(path: &Path) -> io::Result<Self> {
        let out = File::create(path)?;
        let mut out = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(out);
        out.write_record(COLUMNS)?;
        Ok(Self {
            out,
            next: 0,
            waiting: BTreeMap::new(),
        })
    }

    /// Puts in row `number`, counted from 0; `None` leaves it out. Every number has to come once.
    pub fn put(&mut self, number: usize, row: Option<Row>) -> io::Result<()> {
        self.waiting.insert(number, row);
        while let Some(row) = self.waiting.remove(&self.next) {
            self.next += 1;
            if let Some(row) = row {
                self.out.serialize(row)?;
            }
        }
        Ok(())
    }

    /// Writes what is still buffered.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Gives each frame a name of its own: its stamp, with a number appended if an earlier frame has the same.
#[derive(Default)]
pub struct Names(HashMap<i128, u32>);

impl Names {
    /// The name without extension.
    pub fn of(&mut self, stamp: i128) -> String {
        let count = self.0.entry(stamp).or_default();
        *count += 1;
        match *count {
            1 => stamp.to_string(),
            count => format!("{stamp}_{count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_order_and_keep_to_their_fields() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames.csv");
        let mut table = Table::create(&path).unwrap();
        let row = |stamp: i64| Row {
            file: format!("{stamp}.png"),
            stamp,
            frame_id: "a \"b\", c".into(),
            log_time: 7,
            encoding: "rgb8".into(),
        };
        table.put(2, Some(row(2))).unwrap();
        table.put(0, Some(row(0))).unwrap();
        table.put(1, None).unwrap();
        table.finish().unwrap();
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "file,stamp_ns,frame_id,log_time_ns,encoding\n\
             0.png,0,\"a \"\"b\"\", c\",7,rgb8\n2.png,2,\"a \"\"b\"\", c\",7,rgb8\n"
        );
    }

    #[test]
    fn names_are_each_given_once() {
        let mut names = Names::default();
        let given: Vec<String> = [5, 6, 5, 5].map(|stamp| names.of(stamp)).into();
        assert_eq!(given, ["5", "6", "5_2", "5_3"]);
    }
}
