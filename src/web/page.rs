//! The page's files. They are part of the program: nothing is read from disk, and nothing comes from another host.

use axum::body::Body;
use axum::http::{header, Response};
use axum::response::IntoResponse;

/// Path, media type and content of each file.
const FILES: [(&str, &str, &str); 8] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/index.html"),
    ),
    (
        "/style.css",
        "text/css; charset=utf-8",
        include_str!("page/style.css"),
    ),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("/app.js", JAVASCRIPT, include_str!("page/app.js")),
    ("/server.js", JAVASCRIPT, include_str!("page/server.js")),
    ("/picture.js", JAVASCRIPT, include_str!("page/picture.js")),
    ("/panel.js", JAVASCRIPT, include_str!("page/panel.js")),
    ("/history.js", JAVASCRIPT, include_str!("page/history.js")),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// The paths of all files.
pub fn paths() -> impl Iterator<Item = &'static str> {
    FILES.into_iter().map(|(path, _, _)| path)
}

/// Whether it is the path of one of them.
pub fn is_file(path: &str) -> bool {
    paths().any(|own| own == path)
}

/// The file of that path, if there is one.
pub fn file(path: &str) -> Option<Response<Body>> {
    let (_, media_type, content) = FILES.into_iter().find(|(own, _, _)| *own == path)?;
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Some((headers, content).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page works on a robot without internet, and its Content-Security-Policy allows nothing else.
    #[test]
    fn nothing_comes_from_elsewhere_and_nothing_is_inline() {
        for (path, _, content) in FILES {
            // The name space of SVG is a name and is not loaded.
            let content = content.replace("http://www.w3.org/2000/svg", "");
            for word in [
                "http://",
                "https://",
                " style=\"",
                "onclick=",
                "<script>",
                "eval(",
                "innerHTML",
            ] {
                assert!(!content.contains(word), "{path} has {word}");
            }
        }
    }
}
