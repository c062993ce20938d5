//! Asking a store for ranges of an object, with errors by what can be done about them.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, ClientConfigKey, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt,
    RetryConfig,
};
use tokio::runtime::Runtime;

use super::Address;
use crate::BagError;

/// Why a URL cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// It is no URL.
    #[error("it cannot be read as a URL: {why}")]
    Address {
        /// What is wrong with it.
        why: String,
    },
    /// It is of a scheme that is not known here.
    #[error("bags are not read by {found:?}; accepted: file, s3, gs, http, https with a server or bucket, such as s3://bucket/kitchen")]
    Scheme {
        /// Its scheme.
        found: String,
    },
    /// The store has no such object.
    #[error("there is no such object (404)")]
    NotFound,
    /// The store does not let us read it.
    #[error(
        "the store does not let us read it (401 or 403); credentials are taken from the environment: AWS_ACCESS_KEY_ID, \
         AWS_SECRET_ACCESS_KEY, AWS_REGION for s3, GOOGLE_APPLICATION_CREDENTIALS for gs, and AWS_SKIP_SIGNATURE=true for a bucket \
         that is open to all"
    )]
    Denied,
    /// The server sends an object whole or not at all.
    #[error("the server ignores ranges, so that every part would cost the whole object; download it, and read the copy")]
    NoRanges,
    /// A web server cannot say what is in a folder.
    #[error("there is no metadata.yaml in it, and a web server does not say what else is; name the bag's files, such as …/kitchen_0.mcap")]
    NoListing,
    /// It is another object now than when it was opened.
    #[error("it was changed while it was read; read it again when its upload is done")]
    Changed,
    /// The store did not answer, or not to the end, several times.
    #[error("the store did not answer as it should, {tries} times: {why}")]
    Network {
        /// How often it was asked.
        tries: usize,
        /// What went wrong the last time.
        why: String,
    },
    /// The store cannot be asked at all.
    #[error("the store cannot be asked: {why}")]
    Settings {
        /// What is wrong.
        why: String,
    },
}

impl UrlFault {
    /// Whether it may be otherwise another time.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Network { .. } | Self::Changed)
    }
}

/// An answer that was cut is asked for again, so often in all.
const TRIES: usize = 3;

/// How long a store is asked for one range before it counts as silent.
fn patience() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 4,
        retry_timeout: Duration::from_secs(60),
    }
}

/// An object in a store.
#[derive(Clone)]
pub(crate) struct Object {
    store: Arc<dyn ObjectStore>,
    key: Key,
    shown: PathBuf,
    /// What tells whether it is still the same; `None` where the store gives nothing such.
    tag: Option<String>,
}

/// The end of an object, and how long the object is.
pub(crate) struct Tail {
    pub size: u64,
    pub bytes: Vec<u8>,
}

impl Object {
    /// The object at an address, which is not asked for yet.
    ///
    /// # Errors
    /// [`BagError::Url`], for settings that do not name a store.
    pub fn at(address: &Address) -> Result<Self, BagError> {
        let refused = |why: String| BagError::Url {
            url: address.shown(),
            fault: UrlFault::Settings { why },
        };
        let key = Key::from_url_path(address.url().path());
        Ok(Self {
            store: store(address).map_err(|error| refused(deepest(&error)))?,
            key: key.map_err(|error| refused(error.to_string()))?,
            shown: address.shown(),
            tag: None,
        })
    }

    /// Its last bytes, at most so many, with which its size comes in one request.
    ///
    /// # Errors
    /// [`BagError::Url`]; [`BagError::EmptyFile`].
    pub fn open(&mut self, most: u64) -> Result<Tail, BagError> {
        let (size, tag, bytes) = self.asked(GetRange::Suffix(most))?;
        if size == 0 {
            return Err(BagError::EmptyFile {
                path: self.shown.clone(),
            });
        }
        self.tag = tag;
        Ok(Tail { size, bytes })
    }

    /// The bytes of a range.
    ///
    /// # Errors
    /// [`BagError::Url`].
    pub fn read(&self, range: Range<u64>) -> Result<Vec<u8>, BagError> {
        let expected = range.end - range.start;
        let (_, _, bytes) = self.asked(GetRange::Bounded(range))?;
        match bytes.len() as u64 == expected {
            true => Ok(bytes),
            false => Err(self.failed(UrlFault::Changed)),
        }
    }

    /// All of it.
    ///
    /// # Errors
    /// [`BagError::Url`].
    pub fn whole(&self) -> Result<Vec<u8>, BagError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let got = wait(async { self.store.get(&self.key).await?.bytes().await });
            match got.and_then(|got| got.map_err(|error| fault(&error, tries))) {
                Ok(bytes) => return Ok(bytes.into()),
                Err(UrlFault::Network { .. }) if tries < TRIES => {}
                Err(fault) => return Err(self.failed(fault)),
            }
        }
    }

    /// The names of the objects right below it.
    ///
    /// # Errors
    /// [`BagError::Url`].
    pub fn list(&self) -> Result<Vec<String>, BagError> {
        let listed = wait(self.store.list_with_delimiter(Some(&self.key)));
        let listed = listed.and_then(|listed| listed.map_err(|error| fault(&error, 1)));
        let listed = listed.map_err(|fault| self.failed(fault))?;
        let names = listed.objects.iter();
        let names = names.filter_map(|object| object.location.filename());
        Ok(names.map(str::to_owned).collect())
    }

    fn asked(&self, range: GetRange) -> Result<(u64, Option<String>, Vec<u8>), BagError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let options = GetOptions {
                range: Some(range.clone()),
                if_match: self.tag.clone(),
                ..GetOptions::default()
            };
            let got = wait(async {
                let got = self.store.get_opts(&self.key, options).await?;
                let (size, tag) = (got.meta.size, got.meta.e_tag.clone());
                Ok::<_, Error>((size, tag, got.bytes().await?))
            });
            match got.and_then(|got| got.map_err(|error| fault(&error, tries))) {
                Ok((size, tag, bytes)) => return Ok((size, tag, bytes.into())),
                // A range of nothing cannot be had.
                Err(UrlFault::Network { why, .. }) if why.contains("status code: 416") => {
                    return Ok((0, None, Vec::new()))
                }
                // The store's client asks again for what is refused or not answered, but not for what is cut.
                Err(UrlFault::Network { .. }) if tries < TRIES => {}
                Err(fault) => return Err(self.failed(fault)),
            }
        }
    }

    pub fn failed(&self, fault: UrlFault) -> BagError {
        BagError::Url {
            url: self.shown.clone(),
            fault,
        }
    }
}

/// What an error of the store means.
fn fault(error: &Error, tries: usize) -> UrlFault {
    match error {
        Error::NotFound { .. } => UrlFault::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => UrlFault::Denied,
        Error::NotSupported { .. } => UrlFault::NoRanges,
        Error::Precondition { .. } => UrlFault::Changed,
        // The other stores' clients have no type for this.
        _ if deepest(error).contains("non-partial response") => UrlFault::NoRanges,
        Error::Generic { .. } => UrlFault::Network {
            tries,
            why: deepest(error),
        },
        _ => UrlFault::Settings {
            why: deepest(error),
        },
    }
}

/// The innermost cause: what is around it names the request's URL, which may be signed.
fn deepest(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The store of an address. Each is connected to once.
fn store(address: &Address) -> Result<Arc<dyn ObjectStore>, Error> {
    static STORES: Mutex<Option<HashMap<String, Arc<dyn ObjectStore>>>> = Mutex::new(None);
    static PROVIDER: OnceLock<()> = OnceLock::new();
    // Another part of the program may have chosen one, which is as good.
    PROVIDER.get_or_init(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let mut root = address.url().clone();
    root.set_path("");
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    let stores = stores.get_or_insert_with(HashMap::new);
    if let Some(store) = stores.get(root.as_str()) {
        return Ok(Arc::clone(store));
    }
    let store: Arc<dyn ObjectStore> = match root.scheme() {
        "s3" => Arc::new(
            AmazonS3Builder::from_env()
                .with_url(root.as_str())
                .with_retry(patience())
                .build()?,
        ),
        "gs" => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_url(root.as_str())
                .with_retry(patience())
                .build()?,
        ),
        _ => Arc::new(
            HttpBuilder::new()
                .with_url(root.as_str())
                .with_config(ClientConfigKey::AllowHttp, "true")
                .with_retry(patience())
                .build()?,
        ),
    };
    stores.insert(root.to_string(), Arc::clone(&store));
    Ok(store)
}

/// Waits for a store's answer. A thread of their own moves the connections, so that whoever waits here need not be asynchronous.
fn wait<F: Future>(answer: F) -> Result<F::Output, UrlFault> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let built = builder.worker_threads(1).thread_name("bag-store");
        built
            .enable_all()
            .build()
            .map_err(|error: io::Error| error.to_string())
    });
    match runtime {
        Ok(runtime) => Ok(runtime.block_on(answer)),
        Err(why) => Err(UrlFault::Settings { why: why.clone() }),
    }
}
