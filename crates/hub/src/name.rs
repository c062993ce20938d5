//! Names that a person or a hub gives, checked before they become a part of a path or an address.

use std::fmt;
use std::path::{Component, Path};
use std::str::FromStr;

use crate::HubError;

/// The name of a model repository: `OWNER/NAME`, or `NAME` alone for the oldest ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repo(String);

impl Repo {
    /// The last part of the name, e.g. `LISA-7B-v1`.
    pub fn short(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The folder of the repository in the cache.
    pub(crate) fn folder(&self) -> String {
        format!("models--{}", self.0.replace('/', "--"))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Repo {
    type Err = HubError;

    /// Accepts what the hub does: letters, digits, `-`, `_` and `.`, at most 96 in all; neither part begins or ends with `-` or
    /// `.`, and neither `--` nor `..` occurs, so that a name is never a path and never ambiguous in the cache.
    fn from_str(text: &str) -> Result<Self, HubError> {
        let part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                && !part.starts_with(['-', '.'])
                && !part.ends_with(['-', '.'])
        };
        let fits = text.len() <= 96 && !text.contains("--") && !text.contains("..");
        let parts: Vec<&str> = text.split('/').collect();
        match fits && parts.len() <= 2 && parts.into_iter().all(part) {
            true => Ok(Self(text.to_owned())),
            false => Err(HubError::Name {
                what: "repository",
                given: text.to_owned(),
                accepted:
                    "OWNER/NAME of letters, digits, \"-\", \"_\" and \".\", as in xinlai/LISA-7B-v1",
            }),
        }
    }
}

/// A branch, a tag, or a commit of a repository; `main` by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision(String);

impl Revision {
    /// The revision as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a whole commit, which never becomes another one.
    pub(crate) fn is_commit(&self) -> bool {
        is_hex(&self.0, 40)
    }
}

impl Default for Revision {
    fn default() -> Self {
        Self("main".to_owned())
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Revision {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        // What git accepts of a reference, as far as it matters here: the name becomes a path below refs/.
        let plain = text
            .chars()
            .all(|c| c.is_ascii_graphic() && !"\\:?*[~^".contains(c));
        match plain && is_below(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(HubError::Name {
                what: "revision",
                given: text.to_owned(),
                accepted: "a branch, a tag or a commit, as in main or refs/pr/1",
            }),
        }
    }
}

/// Whether a relative path stays below the folder that it is joined to, on every system.
pub(crate) fn is_below(path: &str) -> bool {
    let normal = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    // `Path` forgets empty and "." parts in the middle, which a hub has no reason to send.
    let plain = path
        .split('/')
        .all(|part| !part.is_empty() && part != "." && part != "..");
    normal && plain && !path.contains(['\\', '\0', ':'])
}

/// Whether the text is of so many lower-case hexadecimal digits.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_repositories_are_never_paths() {
        for name in [
            "xinlai/LISA-7B-v1",
            "openai/clip-vit-large-patch14",
            "gpt2",
            "a/b_c.d",
        ] {
            let repo: Repo = name.parse().unwrap();
            assert_eq!(
                repo.folder(),
                format!("models--{}", name.replace('/', "--"))
            );
        }
        for name in [
            "", "/", "a/", "/a", "a/b/c", "../a", "a/..", "a/.b", "a/b c", "a--b/c", "a/b\n",
            "ä/b", "-a/b", "a/b.",
        ] {
            let error = name.parse::<Repo>().unwrap_err().to_string();
            assert!(error.contains("OWNER/NAME"), "{name:?}: {error}");
        }
        assert!("a".repeat(97).parse::<Repo>().is_err());
    }

    #[test]
    fn revisions_stay_below_refs() {
        for name in ["main", "refs/pr/1", "v1.0", "a-b_c"] {
            name.parse::<Revision>().unwrap();
        }
        for name in [
            "", "..", "../x", "a/../b", "/etc", "a//b", "a b", "a\\b", "a/.",
        ] {
            assert!(name.parse::<Revision>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn paths_that_climb_are_told() {
        assert!(is_below("model.safetensors") && is_below("a/b.bin"));
        for path in [
            "",
            ".",
            "..",
            "../a",
            "a/../../b",
            "/a",
            "a/./b",
            "a//b",
            "a\\..\\b",
            "c:x",
            "a\0",
        ] {
            assert!(!is_below(path), "{path:?}");
        }
    }
}
