//! The HTTP library's agents: what they trust, how long they wait, and their proxies.

use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Proxy};

use crate::{HubError, Settings};

/// An agent that follows no redirect, takes no status for an error, and gives up on a server that is silent for too long.
pub(crate) fn agent(settings: &Settings, tls: &TlsConfig, proxy: Option<Proxy>) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("model_hub/", env!("CARGO_PKG_VERSION")))
        // Compressed content has another length and another checksum.
        .accept_encoding("identity")
        .timeout_resolve(Some(settings.silence))
        .timeout_connect(Some(settings.silence))
        .timeout_per_read(Some(settings.silence))
        .timeout_per_write(Some(settings.silence))
        .tls_config(tls.clone())
        .proxy(proxy)
        .build()
        .new_agent()
}

/// What is trusted.
///
/// # Errors
/// [`HubError::Setting`] where the file that the environment names holds no certificate.
pub(crate) fn tls(settings: &Settings) -> Result<TlsConfig, HubError> {
    Ok(TlsConfig::builder().root_certs(roots(settings)?).build())
}

/// The certificates that are trusted: those of a file that the environment names, else the system's, and where it has none, those
/// that come with the program.
fn roots(settings: &Settings) -> Result<RootCerts, HubError> {
    let found = match &settings.certificates {
        Some(file) => rustls_native_certs::load_certs_from_paths(Some(file), None),
        None => rustls_native_certs::load_native_certs(),
    };
    let certificates: Vec<_> = found
        .certs
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    match (&settings.certificates, certificates.is_empty()) {
        (_, false) => Ok(RootCerts::from(certificates)),
        (None, true) => Ok(RootCerts::WebPki),
        (Some(file), true) => Err(HubError::Setting {
            name: "SSL_CERT_FILE".to_owned(),
            reason: format!(
                "names {}, which holds no certificate; accepted: a file in PEM",
                file.display()
            ),
        }),
    }
}

/// A proxy of the environment: the variable's name, and its value.
pub(crate) fn read_proxy(name: &str, address: &str) -> Result<Proxy, HubError> {
    let wrong = |reason: &str| HubError::Setting {
        name: name.to_owned(),
        // The address itself is not said, for it may hold a password.
        reason: reason.to_owned(),
    };
    let proxy = Proxy::new(address)
        .ok()
        .filter(|proxy| !proxy.host().is_empty());
    let proxy =
        proxy.ok_or_else(|| wrong("is no address of a proxy; accepted: http://HOST:PORT"))?;
    match proxy.protocol() {
        ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https => Ok(proxy),
        _ => Err(wrong(
            "names a SOCKS proxy, which is not supported; accepted: http://HOST:PORT",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_s_address_is_never_shown() {
        for address in [
            "socks5://ada:secret@proxy.test",
            "http://ada:secret@:x",
            "ada:secret @x",
        ] {
            let error = read_proxy("HTTPS_PROXY", address).unwrap_err().to_string();
            assert!(
                error.contains("HTTPS_PROXY") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
