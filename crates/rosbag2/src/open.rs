//! From a path to an opened bag: which files, what they hold together, what is missing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lisa_files::lfs;

use super::metadata::{CountedTopic, Metadata, TopicMetadata, FILE_NAME};
use super::options::StorageKind;
use super::reader::{Bag, BagFile};
use super::source_file::{SourceFile, PACKED};
use super::storage::StorageFile;
use super::topic::{full_type, Topic};
use super::{BagError, Note};

impl Bag {
    /// Opens a bag: a folder, or one of its files.
    ///
    /// # Errors
    /// [`BagError`], if nothing can be read. If a part can, [`Bag::notes`] says what is missing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BagError> {
        let path = path.as_ref();
        let mut notes = Vec::new();
        let folder = fs::metadata(path).map_err(BagError::io(path))?.is_dir();
        let (metadata, paths) = match folder {
            true => folder_files(path, &mut notes)?,
            false => (None, vec![path.to_owned()]),
        };
        let mut files = open_files(path, &paths, &mut notes)?;
        let mut topics = topics(&mut files, metadata.as_ref());
        count(&files, metadata.as_ref(), &mut topics, &mut notes);
        if let Some(metadata) = &metadata {
            compare(metadata, &topics, &mut notes);
        }
        if topics.iter().all(|topic| topic.messages == 0) {
            notes.push(Note::Empty {
                path: path.to_owned(),
            });
        }
        let held = || {
            let mut texts = files.iter().filter_map(|file| file.storage.metadata());
            texts.find_map(|text| Metadata::parse(text, path).ok())
        };
        Ok(Self {
            path: path.to_owned(),
            metadata: metadata.or_else(held),
            topics: topics.into(),
            files,
            notes,
        })
    }
}

/// What `metadata.yaml` says, if it can be read, and the files it names, or else those that are there.
fn folder_files(
    folder: &Path,
    notes: &mut Vec<Note>,
) -> Result<(Option<Metadata>, Vec<PathBuf>), BagError> {
    let path = folder.join(FILE_NAME);
    let metadata = match path.exists() {
        true => Some(Metadata::read(&path)),
        false => None,
    };
    match metadata {
        Some(Ok(metadata)) => {
            if let Some(format) = metadata.compression_format.as_deref() {
                if !["", PACKED].contains(&format) {
                    return Err(BagError::Compression {
                        path,
                        format: format.to_owned(),
                    });
                }
            }
            let mut there = Vec::new();
            for name in &metadata.relative_file_paths {
                match named(folder, name) {
                    Ok(file) => there.push(file),
                    Err(path) => notes.push(Note::MissingFile { path }),
                }
            }
            let left_over = listed(folder)?.into_iter();
            let left_over = left_over.filter(|path| !there.contains(path));
            notes.extend(left_over.map(|path| Note::Unnamed { path }));
            if there.is_empty() && !metadata.relative_file_paths.is_empty() {
                return Err(BagError::NoFiles {
                    path: folder.to_owned(),
                    names: metadata.relative_file_paths,
                });
            }
            Ok((Some(metadata), there))
        }
        unread => {
            let there = once_each(listed(folder)?, notes);
            if there.is_empty() {
                let other = BagError::NotABag {
                    path: folder.to_owned(),
                };
                return Err(unread.and_then(Result::err).unwrap_or(other));
            }
            notes.push(match unread {
                Some(Err(error)) => Note::BadMetadata {
                    reason: error.to_string(),
                },
                _ => Note::NoMetadata {
                    path: folder.to_owned(),
                },
            });
            Ok((None, there))
        }
    }
}

/// A file that the metadata names. Old versions put the bag's name before it, and none may lead out of the folder.
fn named(folder: &Path, name: &str) -> Result<PathBuf, PathBuf> {
    let name = Path::new(name).file_name().unwrap_or_default();
    let plain = folder.join(name);
    // A recorder that was interrupted may not have packed its last file.
    let mut packed = plain.clone().into_os_string();
    packed.push(format!(".{PACKED}"));
    let candidates = [plain.clone(), packed.into(), plain.with_extension("")];
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .ok_or(plain)
}

/// The files of a folder that could be a bag's, in the order of their numbers.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, BagError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(BagError::io(folder))? {
        let entry = entry.map_err(BagError::io(folder))?;
        // Other systems leave files like `._bag_0.mcap` beside those that they copy.
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let path = entry.path();
        if !hidden && kind_by_name(&path).is_some() && path.is_file() {
            files.push(path);
        }
    }
    // bag_10 comes after bag_9.
    files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    Ok(files)
}

/// Of a file that is there both compressed and not, the latter: a recorder removes it when the other is whole.
fn once_each(files: Vec<PathBuf>, notes: &mut Vec<Note>) -> Vec<PathBuf> {
    let twice = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == PACKED)
            && files.contains(&path.with_extension(""))
    };
    let (packed, once): (Vec<_>, Vec<_>) = files.iter().cloned().partition(twice);
    notes.extend(packed.into_iter().map(|path| Note::Twice { path }));
    once
}

fn kind_by_name(path: &Path) -> Option<StorageKind> {
    match path.extension()?.to_str()? {
        PACKED => StorageKind::of_file(Path::new(path.file_stem()?)),
        _ => StorageKind::of_file(path),
    }
}

/// One file that cannot be read is an error if it is the only one, and a note if it is not.
fn open_files(
    bag: &Path,
    paths: &[PathBuf],
    notes: &mut Vec<Note>,
) -> Result<Vec<BagFile>, BagError> {
    let mut files = Vec::new();
    let mut failed = Vec::new();
    for path in paths {
        match open_file(path, notes) {
            Ok(file) => files.push(file),
            Err(error) => failed.push(error),
        }
    }
    if files.is_empty() && !failed.is_empty() {
        return Err(failed.swap_remove(0));
    }
    if files.is_empty() && paths.is_empty() {
        notes.push(Note::NoFiles {
            path: bag.to_owned(),
        });
    }
    notes.extend(failed.into_iter().map(|error| Note::BadFile {
        reason: error.to_string(),
    }));
    Ok(files)
}

fn open_file(path: &Path, notes: &mut Vec<Note>) -> Result<BagFile, BagError> {
    let kind = kind_by_name(path).ok_or_else(|| BagError::NotABag {
        path: path.to_owned(),
    })?;
    let bytes = fs::metadata(path).map_err(BagError::io(path))?.len();
    if bytes == 0 {
        let path = path.to_owned();
        return Err(BagError::EmptyFile { path });
    }
    if lfs::file_is_pointer(path) {
        let path = path.to_owned();
        return Err(BagError::Pointer { path });
    }
    let source = SourceFile::of(path, notes)?;
    if let Some(found) = StorageKind::by_content(&source.real).filter(|found| *found != kind) {
        return Err(BagError::OtherStorage {
            path: path.to_owned(),
            found,
            named: kind,
        });
    }
    let storage = StorageFile::open(kind, source, notes)?;
    Ok(BagFile {
        path: path.to_owned(),
        kind,
        bytes,
        storage,
        keys: BTreeMap::new(),
    })
}

/// The topics of all files, and which of them each file's numbers mean.
fn topics(files: &mut [BagFile], metadata: Option<&Metadata>) -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::new();
    let mut add = |topic: Topic| match topics.iter().position(|known| known.is(&topic)) {
        Some(place) => {
            if let Some(known) = topics.get_mut(place) {
                known.merge(topic);
            }
            place
        }
        None => {
            topics.push(topic);
            topics.len() - 1
        }
    };
    for file in files {
        for stored in file.storage.topics() {
            file.keys.insert(stored.key, add(stored.topic));
        }
    }
    for counted in metadata.iter().flat_map(|metadata| &metadata.topics) {
        add(promised(&counted.topic_metadata));
    }
    topics
}

/// What the metadata says of a topic. Older storages do not hold profiles themselves.
fn promised(topic: &TopicMetadata) -> Topic {
    Topic {
        name: topic.name.clone(),
        ros_type: full_type(&topic.ros_type),
        serialization_format: topic.serialization_format.clone(),
        qos: topic.offered_qos_profiles.clone(),
        definition: None,
        type_hash: topic
            .type_description_hash
            .clone()
            .filter(|hash| !hash.is_empty()),
        messages: 0,
    }
}

/// Databases do not know how many messages a topic has. Where the metadata's sum is theirs and they have its topics, its
/// numbers are taken; else they are asked, which takes as long as reading a part of them.
fn count(
    files: &[BagFile],
    metadata: Option<&Metadata>,
    topics: &mut [Topic],
    notes: &mut Vec<Note>,
) {
    let databases = || {
        files.iter().filter_map(|file| match &file.storage {
            StorageFile::Sqlite(database) => Some((database, &file.keys)),
            StorageFile::Mcap(_) => None,
        })
    };
    if databases().next().is_none() {
        return;
    }
    let rows = databases()
        .map(|(database, _)| database.rows())
        .try_fold(0u64, |sum, rows| sum.checked_add(rows?));
    let stored = |counted: &CountedTopic| {
        let named = promised(&counted.topic_metadata);
        let place = topics.iter().position(|topic| topic.is(&named));
        counted.message_count == 0
            || place.is_some_and(|place| {
                databases().any(|(_, keys)| keys.values().any(|key| *key == place))
            })
    };
    let agrees = |metadata: &&Metadata| {
        let counts = metadata.topics.iter().map(|counted| counted.message_count);
        rows == Some(metadata.message_count)
            && counts.fold(0, u64::saturating_add) == metadata.message_count
            && metadata.topics.iter().all(stored)
    };
    if let Some(metadata) = metadata.filter(agrees) {
        for counted in &metadata.topics {
            let named = promised(&counted.topic_metadata);
            if let Some(topic) = topics.iter_mut().find(|topic| topic.is(&named)) {
                topic.messages = counted.message_count;
            }
        }
        return;
    }
    for (database, keys) in databases() {
        match database.counts() {
            Ok(counts) => {
                let (mut unknown, mut messages) = (Vec::new(), 0u64);
                for (key, count) in counts {
                    let topic = keys.get(&key).and_then(|&topic| topics.get_mut(topic));
                    if let Some(topic) = topic {
                        topic.messages = topic.messages.saturating_add(count);
                    } else {
                        unknown.push(key);
                        messages = messages.saturating_add(count);
                    }
                }
                if !unknown.is_empty() {
                    notes.push(Note::NoTopic {
                        path: database.path().to_owned(),
                        topics: unknown,
                        messages,
                    });
                }
            }
            Err(error) => notes.push(Note::Damaged {
                reason: error.to_string(),
            }),
        }
    }
}

fn compare(metadata: &Metadata, topics: &[Topic], notes: &mut Vec<Note>) {
    for counted in &metadata.topics {
        let promised = promised(&counted.topic_metadata);
        let found = topics.iter().find(|topic| topic.is(&promised));
        let found = found.map_or(0, |topic| topic.messages);
        if found != counted.message_count {
            notes.push(Note::Count {
                topic: promised.name,
                promised: counted.message_count,
                found,
            });
        }
    }
}
