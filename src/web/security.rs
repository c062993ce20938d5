//! Who may call, and what a browser is told to refuse.
//!
//! A page on the internet may send requests to `127.0.0.1`, from the browser of whoever visits it. Three things keep it away:
//!
//! - A request that names an origin must name this server's own, and one whose `Sec-Fetch-Site` says that another site began it
//!   gets the page's files at the most. Browsers set both headers; scripts of a page cannot.
//! - Without a token the server must be called by a name of this computer. A page whose name was made to point to 127.0.0.1 (DNS
//!   rebinding) has the right origin, and the wrong name.
//! - With a token, every call but `/healthz` and the page's files must carry it in a header, which no form and no link can.
//!   The page keeps it in the memory of its tab, and not in a cookie, which the browser would add to anybody's requests.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::body::Body;
use axum::http::{header, HeaderMap, HeaderName, HeaderValue, Request, StatusCode};

use super::error::ApiError;
use super::page;

/// A secret that callers have to know: 16 to 256 letters, digits and signs of ASCII.
#[derive(Clone)]
pub struct Token(String);

/// A text that is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("accepted as a token: 16 to 256 letters, digits and signs without spaces, such as `openssl rand -hex 16` prints")]
pub struct TokenError;

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let fits = (16..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.to_owned())).ok_or(TokenError)
    }
}

/// Does not show the secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// Whether it is the same; the time that this takes tells nothing but the length.
    fn is(&self, given: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let differences = own.iter().zip(given).fold(0, |sum, (a, b)| sum | (a ^ b));
        own.len() == given.len() && std::hint::black_box(differences) == 0
    }
}

/// Who may call.
#[derive(Debug)]
pub struct Access {
    /// What callers have to know, if anything.
    pub token: Option<Token>,
    /// Names of this server beside those of the loopback interface, in lower case.
    pub hosts: Vec<String>,
}

impl Access {
    /// Checks a request before anything of its body is read.
    ///
    /// # Errors
    /// 403 for a host or origin that is not the server's own, 401 without the token.
    pub fn check(&self, request: &Request<Body>) -> Result<(), ApiError> {
        let (headers, path) = (request.headers(), request.uri().path());
        let authority = self.check_host(headers)?;
        check_origin(headers, authority)?;
        let public = page::is_file(path) || path == "/healthz";
        if public {
            return Ok(());
        }
        if let Some(site @ ("cross-site" | "same-site")) = text(headers, "sec-fetch-site") {
            return Err(forbidden(format!(
                "the request comes from another site ({site}); accepted: requests of this server's own page"
            )));
        }
        match &self.token {
            Some(token) if !bearer(headers).is_some_and(|given| token.is(given)) => {
                Err(ApiError::new(
                    StatusCode::UNAUTHORIZED,
                    "token",
                    "a token is needed; accepted: the header `Authorization: Bearer TOKEN`",
                ))
            }
            _ => Ok(()),
        }
    }

    /// The host and port that the request names.
    fn check_host<'a>(&self, headers: &'a HeaderMap) -> Result<&'a str, ApiError> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(ApiError::bad("host", "exactly one Host header is accepted"));
        };
        let authority = host.to_str().unwrap_or_default();
        let name = host_name(authority).to_ascii_lowercase();
        let own = is_loopback(&name) || self.hosts.contains(&name);
        // With a token it may have any name: whoever has made a name point here does not have the token.
        if own || self.token.is_some() {
            return Ok(authority);
        }
        Err(forbidden(format!(
            "this server is not called {:?}; accepted: localhost, 127.0.0.1, [::1]{}",
            name.chars().take(100).collect::<String>(),
            self.hosts
                .iter()
                .map(|host| format!(", {host}"))
                .collect::<String>()
        )))
    }
}

/// The authority without its port; an address of IPv6 without its brackets.
fn host_name(authority: &str) -> &str {
    if let Some((address, _)) = authority.strip_prefix('[').and_then(|a| a.split_once(']')) {
        return address;
    }
    authority
        .split_once(':')
        .map_or(authority, |(name, _)| name)
}

fn is_loopback(name: &str) -> bool {
    name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Checks that a request which names an origin names the server's own. Programs name none.
fn check_origin(headers: &HeaderMap, authority: &str) -> Result<(), ApiError> {
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        // A proxy that adds TLS passes the name of the host on, and the origin as the browser has it.
        let rest = origin.strip_prefix("http://");
        let rest = rest.or_else(|| origin.strip_prefix("https://"));
        if !rest.is_some_and(|named| named.eq_ignore_ascii_case(authority)) {
            return Err(forbidden(format!(
                "requests from {:?} are refused; accepted: this server's own page",
                origin.chars().take(100).collect::<String>()
            )));
        }
    }
    Ok(())
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = text(headers, "authorization")?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().as_bytes())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn forbidden(message: String) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "origin", message)
}

/// What every response carries: nothing of another host is loaded, nothing is guessed, no other page may frame or read it.
/// Nothing but the page's files is kept by a cache, and those are asked for again each time.
pub fn set_headers(headers: &mut HeaderMap) {
    const ALL: [(&str, &str); 7] = [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in ALL {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        let no_store = HeaderValue::from_static("no-store");
        headers.insert(header::CACHE_CONTROL, no_store);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn request(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    fn status(access: &Access, path: &str, headers: &[(&str, &str)]) -> u16 {
        match access.check(&request(path, headers)) {
            Ok(()) => 200,
            Err(error) => error.status.as_u16(),
        }
    }

    #[test]
    fn only_names_of_this_computer_are_its_names() {
        let access = Access {
            token: None,
            hosts: vec!["robot.lan".to_owned()],
        };
        for (host, expected) in [
            ("localhost:8080", 200),
            ("LOCALHOST", 200),
            ("127.0.0.1:1", 200),
            ("127.3.2.1", 200),
            ("[::1]:8080", 200),
            ("robot.lan:8080", 200),
            ("evil.example:8080", 403),
            ("127.0.0.1.evil.example", 403),
            ("localhost.evil.example", 403),
            ("10.0.0.7:8080", 403),
            ("", 403),
        ] {
            assert_eq!(
                status(&access, "/v1/model", &[("host", host)]),
                expected,
                "{host}"
            );
            assert_eq!(status(&access, "/", &[("host", host)]), expected, "{host}");
        }
        assert_eq!(status(&access, "/", &[]), 400);
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(status(&access, "/", &two), 400);
    }

    #[test]
    fn other_origins_and_sites_are_refused() {
        let access = Access {
            token: None,
            hosts: Vec::new(),
        };
        let asked = |header: (&str, &str)| {
            status(
                &access,
                "/v1/segment",
                &[("host", "localhost:8080"), header],
            )
        };
        assert_eq!(asked(("origin", "http://localhost:8080")), 200);
        assert_eq!(asked(("origin", "https://localhost:8080")), 200);
        for other in [
            "null",
            "",
            "http://localhost:3000",
            "http://evil.example",
            "http://evil.example/localhost:8080",
            "ftp://localhost:8080",
        ] {
            assert_eq!(asked(("origin", other)), 403, "{other}");
        }
        assert_eq!(asked(("sec-fetch-site", "cross-site")), 403);
        assert_eq!(asked(("sec-fetch-site", "same-site")), 403);
        assert_eq!(asked(("sec-fetch-site", "same-origin")), 200);
        assert_eq!(asked(("sec-fetch-site", "none")), 200);
        // A link to the page may stand anywhere.
        let link = [("host", "localhost:8080"), ("sec-fetch-site", "cross-site")];
        assert_eq!(status(&access, "/", &link), 200);
    }

    #[test]
    fn with_a_token_everything_but_the_page_needs_it() {
        let access = Access {
            token: Some(SECRET.parse().unwrap()),
            hosts: Vec::new(),
        };
        let host = ("host", "robot.lan:8080");
        for path in ["/", "/app.js", "/healthz"] {
            assert_eq!(status(&access, path, &[host]), 200, "{path}");
        }
        for path in ["/v1/model", "/v1/segment", "/metrics", "/nothing"] {
            assert_eq!(status(&access, path, &[host]), 401, "{path}");
            for wrong in [
                "Bearer 0123456789abcdeX",
                "Bearer 0123456789abcde",
                "Bearer 0123456789abcdef0",
                "Basic 0123456789abcdef",
                "0123456789abcdef",
                "Bearer ",
            ] {
                let given = [host, ("authorization", wrong)];
                assert_eq!(status(&access, path, &given), 401, "{path} {wrong}");
            }
            let given = [host, ("authorization", "bearer 0123456789abcdef")];
            assert_eq!(status(&access, path, &given), 200, "{path}");
        }
    }

    #[test]
    fn a_token_is_long_and_never_shown() {
        assert_eq!("short".parse::<Token>().unwrap_err(), TokenError);
        assert!("0123456789abcde ".parse::<Token>().is_err());
        assert!("0123456789abcdé".parse::<Token>().is_err());
        assert!("x".repeat(257).parse::<Token>().is_err());
        let token: Token = SECRET.parse().unwrap();
        assert!(!format!("{token:?}").contains("0123"));
    }
}
