//! Addresses and headers, as far as the client reads them itself.

use std::time::{Duration, SystemTime};

use ureq::http::{HeaderMap, Uri};

/// Scheme, host and port; two addresses with the same ones are of one server.
pub(crate) fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let port = uri
        .port_u16()
        .unwrap_or(if scheme == "https" { 443 } else { 80 });
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    format!("{scheme}://{host}:{port}")
}

/// An address for a person: without its query, which may hold a signature.
pub(crate) fn shown(url: &str) -> String {
    plain(url.split(['?', '#']).next().unwrap_or_default())
}

/// The address that a `Location` of an answer from `uri` means.
pub(crate) fn joined(uri: &Uri, location: &str) -> String {
    let scheme = uri.scheme_str().unwrap_or("https");
    let home = format!(
        "{scheme}://{}",
        uri.authority().map(|a| a.as_str()).unwrap_or_default()
    );
    let location = location.split('#').next().unwrap_or_default();
    // An address in a query does not make it one of another server.
    let scheme_of = location.split_once("://").map_or("", |(scheme, _)| scheme);
    if !scheme_of.is_empty() && scheme_of.bytes().all(|b| b.is_ascii_alphanumeric()) {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{home}{location}")
    } else {
        let folder = uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{home}{folder}/{location}")
    }
}

/// A header as text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Text of a server, as far as a line of a terminal may hold it.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// `Retry-After`: seconds, or a date.
pub(crate) fn retry_after(header: &str) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_joined_to_where_it_came_from() {
        let uri: Uri = "https://hub.test:8443/a/b?c=d".parse().unwrap();
        for (location, joined_to) in [
            ("/x?y", "https://hub.test:8443/x?y"),
            ("x", "https://hub.test:8443/a/x"),
            ("/x?u=http://y", "https://hub.test:8443/x?u=http://y"),
            ("//cdn.test/x", "https://cdn.test/x"),
            ("http://cdn.test/x#y", "http://cdn.test/x"),
        ] {
            assert_eq!(joined(&uri, location), joined_to);
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let of = |uri: &str| origin(&uri.parse().unwrap());
        assert_eq!(of("https://Hub.test/a"), of("https://hub.test:443/b"));
        assert_ne!(of("http://hub.test/"), of("https://hub.test/"));
        assert_ne!(of("http://hub.test:1/"), of("http://hub.test:2/"));
    }

    #[test]
    fn a_pause_is_told_in_seconds_or_as_a_date() {
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("soon"), None);
        let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(1000));
        assert!(retry_after(&later).unwrap() > Duration::from_secs(900));
    }
}
