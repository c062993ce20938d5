//! URLs of bags, and how they are shown.

use std::path::{Path, PathBuf};

use url::Url;

use super::UrlFault;
use crate::BagError;

/// Where a bag or one of its files is, elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    url: Url,
}

impl Address {
    /// The address that a path is; `None` of a path on this machine.
    ///
    /// # Errors
    /// [`BagError::Url`] for a URL that cannot be read, or of another scheme than those that are known.
    pub fn of(path: &Path) -> Result<Option<Place>, BagError> {
        let Some(text) = path.to_str().filter(|text| text.contains("://")) else {
            return Ok(None);
        };
        let refused = |fault| BagError::Url {
            url: PathBuf::from(without_query(text)),
            fault,
        };
        let url = Url::parse(text).map_err(|error| {
            refused(UrlFault::Address {
                why: error.to_string(),
            })
        })?;
        match url.scheme() {
            "file" => match url.to_file_path() {
                Ok(path) => Ok(Some(Place::Here(path))),
                Err(()) => Err(refused(UrlFault::Address {
                    why: "it names no file of this machine".to_owned(),
                })),
            },
            "s3" | "gs" | "http" | "https" if url.host().is_some() => {
                Ok(Some(Place::Elsewhere(Self { url })))
            }
            scheme => Err(refused(UrlFault::Scheme {
                found: scheme.to_owned(),
            })),
        }
    }

    /// A file below it.
    pub fn join(&self, name: &str) -> Self {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(name);
        }
        Self { url }
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    /// How errors, notes and reports name it.
    pub fn shown(&self) -> PathBuf {
        PathBuf::from(without_query(self.url.as_str()))
    }

    /// Its last part, without the query.
    pub fn name(&self) -> &Path {
        Path::new(self.url.path())
    }

    /// Whether its store can say what is below it. A web server cannot.
    pub fn can_list(&self) -> bool {
        matches!(self.url.scheme(), "s3" | "gs")
    }
}

/// What a URL leads to.
pub(crate) enum Place {
    Here(PathBuf),
    Elsewhere(Address),
}

/// A URL without its query, its fragment and its user, which may be a signature or a password; anything else as it is.
pub fn without_query(text: &str) -> &str {
    if !text.contains("://") {
        return text;
    }
    let end = text.find(['?', '#']).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_not_shown() {
        let shown = |text| without_query(text).to_owned();
        assert_eq!(
            shown("https://h/a/b.mcap?X-Amz-Signature=secret#x"),
            "https://h/a/b.mcap"
        );
        assert_eq!(shown("odd?name.mcap"), "odd?name.mcap");
    }

    #[test]
    fn addresses_are_told_from_paths() {
        let of = |text: &str| Address::of(Path::new(text));
        assert!(of("night/kitchen").unwrap().is_none());
        let Some(Place::Here(path)) = of("file:///night/a%20b").unwrap() else {
            panic!();
        };
        assert_eq!(path, Path::new("/night/a b"));
        let Some(Place::Elsewhere(bag)) = of("s3://night/r2/kitchen/").unwrap() else {
            panic!();
        };
        let file = bag.join("metadata.yaml");
        assert_eq!(
            file.shown(),
            Path::new("s3://night/r2/kitchen/metadata.yaml")
        );
        let Some(Place::Elsewhere(signed)) = of("https://h/k?sig=1").unwrap() else {
            panic!();
        };
        assert_eq!(signed.join("a").url().as_str(), "https://h/k/a?sig=1");
        for (text, says) in [
            ("ftp://h/a.mcap", "accepted: file, s3, gs, http, https"),
            ("s3:///a.mcap", "accepted: file, s3, gs, http, https"),
            ("http://:0:/a?secret", "cannot be read as a URL"),
        ] {
            let said = of(text).err().unwrap().to_string();
            assert!(said.contains(says) && !said.contains("secret"), "{said}");
        }
    }
}
