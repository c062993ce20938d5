//! Which proxy an address is reached through.

use ureq::http::Uri;

/// The proxies of the environment.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `https` addresses: the name of the variable, and its value.
    pub https: Option<(String, String)>,
    /// For `http` addresses.
    pub http: Option<(String, String)>,
    /// Hosts that are reached without one, as `NO_PROXY` lists them.
    pub none: Vec<String>,
}

// A proxy's address may hold a password.
impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |proxy: &Option<(String, String)>| proxy.as_ref().map(|(name, _)| name.clone());
        f.debug_struct("Proxies")
            .field("https", &name(&self.https))
            .field("http", &name(&self.http))
            .field("none", &self.none)
            .finish()
    }
}

/// How an address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Direct,
    HttpProxy,
    HttpsProxy,
}

impl Proxies {
    pub(crate) fn way(&self, uri: &Uri) -> Way {
        let host = uri.host().unwrap_or_default();
        let https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        if self.none.iter().any(|entry| covers(entry, host, port)) {
            return Way::Direct;
        }
        match https {
            true if self.https.is_some() => Way::HttpsProxy,
            false if self.http.is_some() => Way::HttpProxy,
            _ => Way::Direct,
        }
    }
}

/// Whether an entry of `NO_PROXY` means this host. As for curl and Python, a name means the hosts below it as well, with or
/// without a dot or `*.` before it, and a port in the entry has to be the address's.
fn covers(entry: &str, host: &str, port: u16) -> bool {
    let plain = |text: &str| text.trim_matches(['[', ']']).to_ascii_lowercase();
    let host = plain(host);
    let entry = entry.trim();
    if entry == "*" {
        return true;
    }
    // The colons of a bare IPv6 address belong to the address.
    let (name, wanted) = match entry.rsplit_once(':') {
        Some((name, digits)) if name.ends_with(']') || !name.contains(':') => {
            (name, digits.parse::<u16>().ok())
        }
        _ => (entry, None),
    };
    let name = plain(name);
    let name = name.trim_start_matches('*').trim_start_matches('.');
    let below = host
        .strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.is_empty() && below && wanted.is_none_or(|wanted| wanted == port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_means_a_host_and_those_below_it() {
        for (entry, host, yes) in [
            ("*", "hub.test", true),
            ("hub.test", "hub.test", true),
            ("hub.test", "HUB.test", true),
            ("hub.test", "cdn.hub.test", true),
            (".hub.test", "cdn.hub.test", true),
            ("*.hub.test", "cdn.hub.test", true),
            ("hub.test", "myhub.test", false),
            ("hub.test:443", "hub.test", true),
            ("hub.test:80", "hub.test", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("::1", "[::1]", true),
            ("[::1]:443", "[::1]", true),
            ("", "hub.test", false),
            ("localhost", "hub.test", false),
        ] {
            assert_eq!(covers(entry, host, 443), yes, "{entry} {host}");
        }
    }

    #[test]
    fn a_proxy_is_of_its_scheme() {
        let some = |name: &str| Some((name.to_owned(), "http://proxy.test:3128".to_owned()));
        let proxies = Proxies {
            https: some("HTTPS_PROXY"),
            http: None,
            none: vec!["hub.test".to_owned()],
        };
        let way = |uri: &str| proxies.way(&uri.parse().unwrap());
        assert_eq!(way("https://other.test/x"), Way::HttpsProxy);
        assert_eq!(way("http://other.test/x"), Way::Direct);
        assert_eq!(way("https://hub.test/x"), Way::Direct);
    }
}
