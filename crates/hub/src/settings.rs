//! [`Settings`]: what the environment says, read once.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::Uri;

pub use crate::proxy::Proxies;
use crate::stop::{Clock, Pause};
use crate::HubError;

/// The hub that is asked unless `HF_ENDPOINT` names another one.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// What a token is sent as, and where it came from. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub(crate) secret: String,
    /// The variable or the file that it came from, for error texts.
    pub origin: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the token of {}", self.origin)
    }
}

/// Which hub, which cache, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address of the hub, without a slash at its end (`HF_ENDPOINT`).
    pub endpoint: String,
    /// The cache, which other clients of the hub share (`HF_HUB_CACHE`, or `hub` in `HF_HOME`).
    pub cache: PathBuf,
    /// The token that private and gated repositories need (`HF_TOKEN`, or the file that logging in has made).
    pub token: Option<Token>,
    /// Only the cache is read (`HF_HUB_OFFLINE`).
    pub offline: bool,
    /// Proxies (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    pub proxies: Proxies,
    /// A file of certificates that are trusted instead of the system's (`SSL_CERT_FILE`).
    pub certificates: Option<PathBuf>,
    /// How long a server may stay silent (`HF_HUB_DOWNLOAD_TIMEOUT`, in seconds; 10 by default, as for the other clients).
    pub silence: Duration,
    /// How the time between two tries passes.
    pub pause: Arc<dyn Pause>,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// [`HubError::Setting`] where a variable has a value that cannot be used.
    pub fn from_env() -> Result<Self, HubError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// Reads an environment. Variables that are empty count as not set.
    ///
    /// # Errors
    /// As [`Settings::from_env`].
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Self, HubError> {
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        let first = |names: &[&str]| {
            let mut set = names
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), get(name)?)));
            set.next()
        };
        let user = get("HOME").map(PathBuf::from);
        let path = |text: String| match (text.strip_prefix("~/"), &user) {
            (Some(rest), Some(user)) => user.join(rest),
            _ => PathBuf::from(text),
        };
        let home = get("HF_HOME")
            .map(&path)
            .or_else(|| get("XDG_CACHE_HOME").map(|cache| path(cache).join("huggingface")))
            .or_else(|| user.as_ref().map(|user| user.join(".cache/huggingface")));
        let cache = first(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"])
            .map(|(_, cache)| path(cache))
            .or_else(|| home.as_ref().map(|home| home.join("hub")));
        let cache = cache.ok_or_else(|| HubError::Setting {
            name: "HOME".to_owned(),
            reason: "is not set, nor is HF_HOME; accepted: HF_HOME=FOLDER, where files are kept"
                .to_owned(),
        })?;
        let token = match get("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(|v| is_yes(&v)) {
            true => None,
            false => {
                let file = get("HF_TOKEN_PATH")
                    .map(&path)
                    .or_else(|| home.map(|home| home.join("token")));
                token(first(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]), file)?
            }
        };
        let offline = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];
        let listed = first(&["NO_PROXY", "no_proxy"]).map(|(_, list)| list);
        Ok(Self {
            endpoint: endpoint(get("HF_ENDPOINT"))?,
            cache,
            token,
            offline: offline
                .iter()
                .any(|name| get(name).is_some_and(|v| is_yes(&v))),
            proxies: Proxies {
                https: first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
                http: first(&["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"]),
                none: listed
                    .iter()
                    .flat_map(|list| list.split(','))
                    .map(|entry| entry.trim().to_owned())
                    .filter(|entry| !entry.is_empty())
                    .collect(),
            },
            certificates: get("SSL_CERT_FILE").map(&path),
            silence: silence(get("HF_HUB_DOWNLOAD_TIMEOUT"))?,
            pause: Arc::new(Clock),
        })
    }
}

/// What the clients of the hub take for a yes.
fn is_yes(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.trim().to_ascii_uppercase().as_str())
}

fn endpoint(given: Option<String>) -> Result<String, HubError> {
    let Some(given) = given else {
        return Ok(DEFAULT_ENDPOINT.to_owned());
    };
    let endpoint = given.trim().trim_end_matches('/');
    let uri = endpoint.parse::<Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
    });
    match uri {
        Some(_) => Ok(endpoint.to_owned()),
        None => Err(HubError::Setting {
            name: "HF_ENDPOINT".to_owned(),
            reason: format!(
                "is {given:?}; accepted: an address that begins with https:// or http://"
            ),
        }),
    }
}

fn silence(given: Option<String>) -> Result<Duration, HubError> {
    let Some(given) = given else {
        return Ok(Duration::from_secs(10));
    };
    match given.trim().parse::<u64>() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err(HubError::Setting {
            name: "HF_HUB_DOWNLOAD_TIMEOUT".to_owned(),
            reason: format!("is {given:?}; accepted: seconds from 1 to 86400"),
        }),
    }
}

/// The token of the variable or, without one, of the file.
fn token(
    variable: Option<(String, String)>,
    file: Option<PathBuf>,
) -> Result<Option<Token>, HubError> {
    let (origin, text) = match (variable, file) {
        (Some(variable), _) => variable,
        (None, Some(file)) => {
            let origin = file.display().to_string();
            match fs::read_to_string(&file) {
                Ok(text) => (origin, text),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => {
                    return Err(HubError::Setting {
                        reason: format!("holds your token and cannot be read: {error}"),
                        name: origin,
                    })
                }
            }
        }
        (None, None) => return Ok(None),
    };
    let secret = text.trim();
    // Anything else would split or spoil the header that it is sent in.
    match secret.bytes().all(|b| b.is_ascii_graphic()) {
        true if secret.is_empty() => Ok(None),
        true => Ok(Some(Token {
            secret: secret.to_owned(),
            origin,
        })),
        false => Err(HubError::Setting {
            name: origin,
            reason: "holds no token; accepted: one word of plain letters, as hf_…".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, HubError> {
        let variables = variables.to_vec();
        Settings::from_variables(move |name| {
            let found = variables.iter().find(|(key, _)| *key == name)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn the_cache_is_where_other_clients_have_it() {
        let cache = |variables: &[(&str, &str)]| {
            let mut all = variables.to_vec();
            all.push(("HOME", "/home/ada"));
            settings(&all).unwrap().cache
        };
        for (variables, at) in [
            (&[][..], "/home/ada/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/c")], "/c/huggingface/hub"),
            (&[("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/c")], "/h/hub"),
            (&[("HF_HOME", "~/h")], "/home/ada/h/hub"),
            (&[("HF_HUB_CACHE", "/b"), ("HF_HOME", "/h")], "/b"),
            (&[("HUGGINGFACE_HUB_CACHE", "/b")], "/b"),
            (&[("HF_HUB_CACHE", " "), ("HF_HOME", "/h")], "/h/hub"),
        ] {
            assert_eq!(cache(variables), PathBuf::from(at), "{variables:?}");
        }
        assert!(settings(&[]).unwrap_err().to_string().contains("HF_HOME"));
    }

    #[test]
    fn a_token_is_of_the_variable_or_of_the_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let none = settings(&[("HF_HOME", home)]).unwrap();
        assert_eq!(none.token, None);
        fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        let token = |more: &[(&str, &str)]| {
            let all = [&[("HF_HOME", home)], more].concat();
            settings(&all).map(|settings| settings.token)
        };
        assert_eq!(token(&[]).unwrap().unwrap().secret, "hf_file");
        let of_variable = token(&[("HF_TOKEN", "hf_variable")]).unwrap().unwrap();
        assert_eq!(of_variable.secret, "hf_variable");
        assert_eq!(format!("{of_variable:?}"), "the token of HF_TOKEN");
        assert_eq!(
            token(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).unwrap(),
            None
        );
        let error = token(&[("HF_TOKEN", "two words")]).unwrap_err().to_string();
        assert!(
            error.contains("HF_TOKEN") && !error.contains("two words"),
            "{error}"
        );
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let home = ("HF_HOME", "/nowhere");
        for (name, value) in [
            ("HF_ENDPOINT", "hub.test"),
            ("HF_ENDPOINT", "ftp://hub.test"),
            ("HF_ENDPOINT", "https://"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "soon"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "0"),
        ] {
            let error = settings(&[home, (name, value)]).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains("accepted"),
                "{error}"
            );
        }
        let mirror = settings(&[home, ("HF_ENDPOINT", "https://hub.test/mirror/")]).unwrap();
        assert_eq!(mirror.endpoint, "https://hub.test/mirror");
        for (value, offline) in [
            ("1", true),
            ("yes", true),
            ("True", true),
            ("0", false),
            ("no", false),
        ] {
            let found = settings(&[home, ("HF_HUB_OFFLINE", value)]).unwrap();
            assert_eq!(found.offline, offline, "{value}");
        }
    }
}
