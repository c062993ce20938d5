//! From a path to an opened bag: which files, what they hold together, what is missing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lisa_files::lfs;

use super::metadata::{CountedTopic, Metadata, TopicMetadata, FILE_NAME};
use super::options::StorageKind;
use super::reader::{Bag, BagFile};
use super::remote::{Address, Object, Place, RemoteFile, UrlFault};
use super::source_file::{SourceFile, PACKED};
use super::storage::StorageFile;
use super::topic::{full_type, Topic};
use super::{BagError, Note};

impl Bag {
    /// Opens a bag: a folder, or one of its files; or the URL of either (`file`, `s3`, `gs`, `http`, `https`), of which as much
    /// is read as is asked for. A database or a file that is compressed as a whole is copied first, beside the system's temporary
    /// files.
    ///
    /// # Errors
    /// [`BagError`], if nothing can be read. If a part can, [`Bag::notes`] says what is missing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BagError> {
        let mut notes = Vec::new();
        let elsewhere;
        let (path, metadata, mut files) = match Address::of(path.as_ref())? {
            Some(Place::Elsewhere(address)) => {
                let (metadata, files) = open_elsewhere(&address, &mut notes)?;
                elsewhere = address.shown();
                (elsewhere.as_path(), metadata, files)
            }
            Some(Place::Here(path)) => {
                elsewhere = path;
                let (metadata, files) = open_here(&elsewhere, &mut notes)?;
                (elsewhere.as_path(), metadata, files)
            }
            None => {
                let (metadata, files) = open_here(path.as_ref(), &mut notes)?;
                (path.as_ref(), metadata, files)
            }
        };
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

fn open_here(
    path: &Path,
    notes: &mut Vec<Note>,
) -> Result<(Option<Metadata>, Vec<BagFile>), BagError> {
    let folder = fs::metadata(path).map_err(BagError::io(path))?.is_dir();
    let (metadata, paths) = match folder {
        true => folder_files(path, notes)?,
        false => (None, vec![path.to_owned()]),
    };
    let opened = paths.iter().map(|path| open_file(path, notes)).collect();
    Ok((metadata, readable(path, opened, notes)?))
}

/// The same elsewhere: files are looked for by the names in `metadata.yaml`, or else by what the store lists.
fn open_elsewhere(
    address: &Address,
    notes: &mut Vec<Note>,
) -> Result<(Option<Metadata>, Vec<BagFile>), BagError> {
    let shown = address.shown();
    if kind_by_name(address.name()).is_some() {
        let opened = vec![open_remote(address, notes)];
        return Ok((None, readable(&shown, opened, notes)?));
    }
    let yaml = address.join(FILE_NAME);
    let text = Object::at(&yaml)?.whole();
    let is_none = |error: &BagError| {
        let fault = UrlFault::NotFound;
        matches!(error, BagError::Url { fault: found, .. } if *found == fault)
    };
    let metadata = match text {
        Ok(text) => Some(Metadata::parse(
            &String::from_utf8_lossy(&text),
            &yaml.shown(),
        )),
        Err(error) if is_none(&error) => None,
        Err(error) => return Err(error),
    };
    let mut opened = Vec::new();
    let metadata = match metadata {
        Some(Ok(metadata)) => {
            check_compression(&metadata, yaml.shown())?;
            for name in &metadata.relative_file_paths {
                let found = candidates(name).into_iter().find_map(|name| {
                    match open_remote(&address.join(&name), notes) {
                        Err(error) if is_none(&error) => None,
                        opened => Some(opened),
                    }
                });
                match found {
                    Some(file) => opened.push(file),
                    None => notes.push(Note::MissingFile {
                        path: shown.join(name),
                    }),
                }
            }
            if opened.is_empty() && !metadata.relative_file_paths.is_empty() {
                return Err(BagError::NoFiles {
                    path: shown,
                    names: metadata.relative_file_paths,
                });
            }
            Some(metadata)
        }
        unread => {
            if !address.can_list() {
                return Err(unread.and_then(Result::err).unwrap_or(BagError::Url {
                    url: shown,
                    fault: UrlFault::NoListing,
                }));
            }
            let names = Object::at(address)?.list()?.into_iter().map(PathBuf::from);
            let names = names.filter(|name| kind_by_name(name).is_some());
            let names = once_each(in_order(names.collect()), notes);
            if names.is_empty() {
                let other = BagError::NotABag { path: shown };
                return Err(unread.and_then(Result::err).unwrap_or(other));
            }
            notes.push(no_metadata(unread, &shown));
            for name in names {
                opened.push(open_remote(&address.join(&name.to_string_lossy()), notes));
            }
            None
        }
    };
    Ok((metadata, readable(&shown, opened, notes)?))
}

/// The names under which a file that the metadata names may be there.
fn candidates(name: &str) -> [String; 3] {
    let name = Path::new(name).file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let packed = format!("{name}.{PACKED}");
    let bare = Path::new(&name).with_extension("");
    [name, packed, bare.to_string_lossy().into_owned()]
}

fn open_remote(address: &Address, notes: &mut Vec<Note>) -> Result<BagFile, BagError> {
    let shown = address.shown();
    let kind = kind_by_name(address.name()).ok_or_else(|| BagError::NotABag {
        path: shown.clone(),
    })?;
    let file = RemoteFile::open(address)?;
    let bytes = file.size();
    let is_packed = address.name().extension().is_some_and(|end| end == PACKED);
    let source = match kind {
        StorageKind::Mcap if !is_packed => SourceFile::ranges(file, shown.clone()),
        _ => SourceFile::copied(&file, &shown, notes)?,
    };
    Ok(BagFile {
        path: shown,
        kind,
        bytes,
        storage: StorageFile::open(kind, source, notes)?,
        keys: BTreeMap::new(),
    })
}

fn check_compression(metadata: &Metadata, path: PathBuf) -> Result<(), BagError> {
    match metadata.compression_format.as_deref() {
        Some(format) if !["", PACKED].contains(&format) => Err(BagError::Compression {
            path,
            format: format.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn no_metadata(unread: Option<Result<Metadata, BagError>>, folder: &Path) -> Note {
    match unread {
        Some(Err(error)) => Note::BadMetadata {
            reason: error.to_string(),
        },
        _ => Note::NoMetadata {
            path: folder.to_owned(),
        },
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
            check_compression(&metadata, path)?;
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
            notes.push(no_metadata(unread, folder));
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
    Ok(in_order(files))
}

/// bag_10 comes after bag_9.
fn in_order(mut files: Vec<PathBuf>) -> Vec<PathBuf> {
    files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    files
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

/// One file that cannot be read is an error if it is the only one, and a note if it is not. One that may be read another time is an
/// error all the same: nobody would try again because of a note.
fn readable(
    bag: &Path,
    opened: Vec<Result<BagFile, BagError>>,
    notes: &mut Vec<Note>,
) -> Result<Vec<BagFile>, BagError> {
    let none = opened.is_empty();
    let mut files = Vec::new();
    let mut failed = Vec::new();
    for file in opened {
        match file {
            Ok(file) => files.push(file),
            Err(error @ BagError::Url { .. }) if error.may_pass() => return Err(error),
            Err(error) => failed.push(error),
        }
    }
    if files.is_empty() && !failed.is_empty() {
        return Err(failed.swap_remove(0));
    }
    if none {
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
