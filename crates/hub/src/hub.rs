//! [`Hub`]: a repository at a revision, and several of its files.

use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::{utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};
use serde::Deserialize;
use serde_json::Value;

use crate::address::{shown, text};
use crate::cache::RepoCache;
use crate::digest::Etag;
use crate::download::{fetch, is_whole, Wanted};
use crate::event::{Event, Say};
use crate::http::{patiently, About, Client, Trouble};
use crate::name::is_hex;
use crate::{check_space, HubError, Need, Repo, Revision, Settings, Stop};

/// What stays as it is in a part of a path.
const PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A hub, and the cache that its files go to.
#[derive(Debug)]
pub struct Hub {
    client: Client,
}

/// A repository at one commit.
#[derive(Clone, Debug)]
pub struct Snapshot {
    repo: Repo,
    revision: Revision,
    cache: RepoCache,
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// The names of its files, sorted; offline, of those that are in the cache.
    pub files: Vec<String>,
    /// The licence of its content, in the words of its card; `None` where it names none, and offline.
    pub licence: Option<String>,
}

impl Snapshot {
    /// The folder in which its files are found under their names.
    pub fn folder(&self) -> PathBuf {
        self.cache.snapshot(&self.commit)
    }

    /// The repository.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    fn about(&self) -> About<'_> {
        About {
            repo: &self.repo,
            revision: self.revision.as_str(),
            file: None,
        }
    }
}

/// Files that are to be fetched, with what is known of them.
#[derive(Clone, Debug)]
pub struct Plan {
    snapshot: Snapshot,
    files: Vec<Planned>,
}

#[derive(Clone, Debug)]
struct Planned {
    wanted: Wanted,
    /// Bytes that are in the cache already, whole files and beginnings.
    cached: u64,
}

impl Plan {
    /// The size of the files in bytes.
    pub fn bytes(&self) -> u64 {
        let sizes = self.files.iter().map(|file| file.wanted.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// What has to be downloaded of them, in bytes.
    pub fn missing(&self) -> u64 {
        let missing = self.files.iter().map(|file| file.wanted.size - file.cached);
        missing.fold(0, u64::saturating_add)
    }

    /// The place that what is missing needs in the cache.
    pub fn need(&self) -> Need {
        Need {
            folder: self.snapshot.cache.hub.clone(),
            bytes: self.missing(),
            what: "the download".to_owned(),
            elsewhere: "for the cache with HF_HOME".to_owned(),
        }
    }
}

/// The fields of the hub's answer about a repository that are used.
#[derive(Deserialize)]
struct Info {
    sha: String,
    siblings: Vec<Sibling>,
    #[serde(rename = "cardData")]
    card: Option<Value>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Hub {
    /// A client. `stop` ends whatever it does.
    ///
    /// # Errors
    /// [`HubError::Setting`] where a proxy or the certificates cannot be used.
    pub fn new(settings: Settings, stop: Arc<Stop>) -> Result<Self, HubError> {
        Ok(Self {
            client: Client::new(settings, stop)?,
        })
    }

    /// The settings that it was made with.
    pub fn settings(&self) -> &Settings {
        &self.client.settings
    }

    /// Asks which commit a revision is, and which files it has. Offline, the cache is asked.
    ///
    /// # Errors
    /// A [`HubError`] in one line.
    pub fn open(
        &self,
        repo: &Repo,
        revision: &Revision,
        say: Say<'_>,
    ) -> Result<Snapshot, HubError> {
        let settings = &self.client.settings;
        let mut snapshot = Snapshot {
            repo: repo.clone(),
            revision: revision.clone(),
            cache: RepoCache::new(&settings.cache, repo),
            commit: String::new(),
            files: Vec::new(),
            licence: None,
        };
        if settings.offline {
            let commit = snapshot.cache.commit(revision);
            let found = commit.filter(|commit| snapshot.cache.snapshot(commit).is_dir());
            snapshot.commit = found.ok_or_else(|| HubError::Offline {
                cache: settings.cache.clone(),
                lacks: format!("has nothing of {repo} at {revision}"),
            })?;
            snapshot.files = snapshot.cache.files(&snapshot.commit);
            return Ok(snapshot);
        }
        let url = format!(
            "{}/api/models/{repo}/revision/{}",
            settings.endpoint,
            utf8_percent_encode(revision.as_str(), PART)
        );
        let what = format!("{repo} at {revision}");
        let about = snapshot.about();
        let answer = patiently(&self.client, &what, say, || self.client.read(&url, about))?;
        let not_a_hub = |reason: String| HubError::NotAHub {
            url: shown(&url),
            reason,
        };
        let info: Info = serde_json::from_slice(&answer)
            .map_err(|error| not_a_hub(format!("no list of files came ({error})")))?;
        if !is_hex(&info.sha, 40) {
            return Err(not_a_hub(format!("{:?} is no commit", info.sha)));
        }
        snapshot.licence = licence(&info);
        snapshot.commit = info.sha;
        let names = info.siblings.into_iter().map(|file| file.rfilename);
        snapshot.files = names.collect();
        snapshot.files.sort();
        Ok(snapshot)
    }

    /// Asks for the size and the checksum of files, and looks what is in the cache. Nothing is downloaded yet.
    ///
    /// # Errors
    /// A [`HubError`] in one line: a name that leads out of the repository's folder among them.
    pub fn plan(
        &self,
        snapshot: &Snapshot,
        names: &[String],
        say: Say<'_>,
    ) -> Result<Plan, HubError> {
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            let pointer = snapshot.cache.pointer(&snapshot.commit, name)?;
            let wanted = match self.client.settings.offline {
                true => cached(snapshot, name)?,
                false => Some(self.ask(snapshot, name, say)?),
            };
            // Offline and on a file system without links nothing says what the content should be.
            let Some(wanted) = wanted else { continue };
            let length = |path: PathBuf| path.metadata().map(|found| found.len()).ok();
            let whole = [snapshot.cache.blob(&wanted.etag), pointer]
                .into_iter()
                .any(|there| length(there) == Some(wanted.size));
            let begun =
                length(snapshot.cache.partial(&wanted.etag)).filter(|begun| *begun <= wanted.size);
            let cached = if whole {
                wanted.size
            } else {
                begun.unwrap_or(0)
            };
            files.push(Planned { wanted, cached });
        }
        Ok(Plan {
            snapshot: snapshot.clone(),
            files,
        })
    }

    fn ask(&self, snapshot: &Snapshot, name: &str, say: Say<'_>) -> Result<Wanted, HubError> {
        let parts: Vec<String> = name
            .split('/')
            .map(|part| utf8_percent_encode(part, PART).to_string())
            .collect();
        let Snapshot { repo, commit, .. } = snapshot;
        let endpoint = &self.client.settings.endpoint;
        let url = format!("{endpoint}/{repo}/resolve/{commit}/{}", parts.join("/"));
        let about = About {
            file: Some(name),
            ..snapshot.about()
        };
        patiently(&self.client, name, say, || {
            let headers = self.client.head(&url, about)?;
            let linked = text(&headers, "x-linked-etag");
            let etag = linked.or(text(&headers, "etag")).and_then(Etag::parse);
            // The length of a redirect is that of its own text.
            let size = match linked {
                Some(_) => text(&headers, "x-linked-size"),
                None => text(&headers, "content-length"),
            };
            let size = size.and_then(|size| size.trim().parse::<u64>().ok());
            match (etag, size) {
                (Some(etag), Some(size)) => Ok(Wanted {
                    file: name.to_owned(),
                    etag,
                    size,
                    url: url.clone(),
                }),
                (etag, _) => Err(Trouble::Final(HubError::NotAHub {
                    url: shown(&url),
                    reason: match etag {
                        None => "it names no checksum of the file".to_owned(),
                        Some(_) => "it names no size of the file".to_owned(),
                    },
                })),
            }
        })
    }

    /// Fetches the files of the plans, in their order. Each is compared with its size and its checksum, those that were in the
    /// cache already, too.
    ///
    /// # Errors
    /// A [`HubError`] in one line. What came until then is kept, and the next call goes on there.
    pub fn fetch(&self, plans: &[Plan], say: Say<'_>) -> Result<(), HubError> {
        let needs: Vec<Need> = plans.iter().map(Plan::need).collect();
        check_space(&needs)?;
        say(Event::Begin {
            files: plans.iter().map(|plan| plan.files.len()).sum(),
            bytes: plans.iter().map(Plan::bytes).fold(0, u64::saturating_add),
        });
        for (plan, file) in plans
            .iter()
            .flat_map(|plan| plan.files.iter().map(move |file| (plan, file)))
        {
            let (snapshot, wanted) = (&plan.snapshot, &file.wanted);
            say(Event::File {
                name: &wanted.file,
                size: wanted.size,
            });
            match self.client.settings.offline {
                true => self.check(snapshot, wanted, say)?,
                false => fetch(
                    &self.client,
                    &snapshot.cache,
                    snapshot.about(),
                    &snapshot.commit,
                    wanted,
                    say,
                )?,
            }
            say(Event::Done);
        }
        Ok(())
    }

    /// Checks a file that is in the cache, without the hub.
    fn check(&self, snapshot: &Snapshot, wanted: &Wanted, say: Say<'_>) -> Result<(), HubError> {
        let pointer = snapshot.cache.pointer(&snapshot.commit, &wanted.file)?;
        match is_whole(&self.client, &pointer, &wanted.etag, wanted.size, say)? {
            true => Ok(()),
            false => Err(HubError::Offline {
                cache: self.client.settings.cache.clone(),
                lacks: format!("has a damaged {} of {}", wanted.file, snapshot.repo),
            }),
        }
    }

    /// Writes down in the cache which commit the revision of a snapshot is, so that it is found offline. It is for the end, when
    /// all files are there: until then the cache should still lead to an earlier one that is whole.
    ///
    /// # Errors
    /// [`HubError::Io`].
    pub fn remember(&self, snapshot: &Snapshot) -> Result<(), HubError> {
        match self.client.settings.offline {
            true => Ok(()),
            false => snapshot
                .cache
                .remember(&snapshot.revision, &snapshot.commit),
        }
    }
}

/// A file that is in the cache, as the name of its blob and its length describe it.
fn cached(snapshot: &Snapshot, name: &str) -> Result<Option<Wanted>, HubError> {
    let pointer = snapshot.cache.pointer(&snapshot.commit, name)?;
    let size = pointer
        .metadata()
        .ok()
        .filter(|found| found.is_file())
        .map(|found| found.len());
    let size = size.ok_or_else(|| HubError::Offline {
        cache: snapshot.cache.hub.clone(),
        lacks: format!("has no {name} of {}", snapshot.repo),
    })?;
    Ok(snapshot.cache.etag_of(&pointer).map(|etag| Wanted {
        file: name.to_owned(),
        etag,
        size,
        url: String::new(),
    }))
}

/// The licence that a card names: its short name or, for one that has none, the name and the address that the card gives.
fn licence(info: &Info) -> Option<String> {
    let field = |name: &str| info.card.as_ref()?.get(name);
    let words = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(all) => {
            let all: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
            (!all.is_empty()).then(|| all.join(", "))
        }
        _ => None,
    };
    let tag = || {
        info.tags
            .iter()
            .find_map(|tag| tag.strip_prefix("license:").map(str::to_owned))
    };
    let short = field("license").and_then(words).or_else(tag)?;
    let more: Vec<String> = ["license_name", "license_link"]
        .iter()
        .filter_map(|name| field(name).and_then(words))
        .collect();
    let text = match short == "other" && !more.is_empty() {
        true => more.join(", "),
        false => short,
    };
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_licence_is_what_the_card_says() {
        let of = |json: Value| {
            let mut info = json!({"sha": "", "siblings": []});
            for (key, value) in json.as_object().unwrap() {
                info[key] = value.clone();
            }
            licence(&serde_json::from_value(info).unwrap())
        };
        assert_eq!(
            of(json!({"cardData": {"license": "apache-2.0"}})).as_deref(),
            Some("apache-2.0")
        );
        assert_eq!(
            of(json!({"cardData": {"license": ["mit", "llama2"]}})).as_deref(),
            Some("mit, llama2")
        );
        assert_eq!(
            of(json!({"tags": ["x", "license:mit"]})).as_deref(),
            Some("mit")
        );
        let other = json!({"cardData": {"license": "other", "license_name": "own", "license_link": "LICENSE"}});
        assert_eq!(of(other).as_deref(), Some("own, LICENSE"));
        assert_eq!(of(json!({"cardData": null})), None);
        assert_eq!(
            of(json!({"cardData": {"license": "a\u{1b}[2Jb"}})).as_deref(),
            Some("a[2Jb")
        );
    }
}
