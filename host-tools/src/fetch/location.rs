//! Where a file is: a URL, or a path of this machine.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `http://`, `https://` or `ftp://`.
    Url(String),
    /// A local path.
    Path(PathBuf),
}

impl Location {
    /// Reads a place as a definition writes it; a relative path begins at `base`.
    #[must_use]
    pub fn parse(text: &str, base: &Path) -> Self {
        if let Some(path) = text.strip_prefix("file://") {
            return Self::Path(PathBuf::from(path));
        }
        if ["http://", "https://", "ftp://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Self::Url(text.to_owned());
        }
        Self::Path(base.join(text))
    }

    /// Returns the place of something below this one.
    #[must_use]
    pub fn join(&self, below: &str) -> Self {
        match self {
            Self::Url(url) => Self::Url(format!("{}/{below}", url.trim_end_matches('/'))),
            Self::Path(path) => Self::Path(path.join(below)),
        }
    }

    /// Returns the place of a file in the same directory as this one, below it if need be.
    #[must_use]
    pub fn sibling(&self, below: &str) -> Self {
        match self {
            Self::Url(url) => {
                Self::Url(format!("{}/{below}", url.rsplit_once('/').map_or("", |(dir, _)| dir)))
            }
            Self::Path(path) => Self::Path(path.parent().unwrap_or(Path::new("")).join(below)),
        }
    }

    /// Returns the same with something added at the end.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        match self {
            Self::Url(url) => Self::Url(format!("{url}{suffix}")),
            Self::Path(path) => Self::Path(PathBuf::from(format!("{}{suffix}", path.display()))),
        }
    }

    /// Tells whether nobody stands between us and the file: a path, or a server on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let Self::Url(url) = self else { return true };
        let host = url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or("");
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let name = host
            .strip_prefix('[')
            .and_then(|h| h.split(']').next())
            .unwrap_or_else(|| host.split(':').next().unwrap_or(""));
        let loopback = name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        name == "localhost" || loopback
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_joined() {
        let parse = |text| Location::parse(text, Path::new("/a"));
        for (text, expected) in [
            ("https://h/x/", "https://h/x/b/c"),
            ("file:///m", "/m/b/c"),
            ("m", "/a/m/b/c"),
            ("/m", "/m/b/c"),
        ] {
            assert_eq!(parse(text).join("b/c").to_string(), expected);
        }
        assert_eq!(parse("http://h/d/index.txt").sibling("t/s.xz").to_string(), "http://h/d/t/s.xz");
        assert_eq!(parse("/d/index.txt").sibling("t/s.xz").to_string(), "/d/t/s.xz");
        assert_eq!(parse("/d/s.xz").with_suffix(".asc").to_string(), "/d/s.xz.asc");
    }

    #[test]
    fn only_paths_and_this_machine_are_local() {
        for (text, local) in [
            ("/m", true),
            ("http://127.0.0.1:8000/x", true),
            ("http://localhost/x", true),
            ("http://[::1]:80/x", true),
            ("http://127.0.0.1.example.org/x", false),
            ("https://localhost@example.org/x", false),
            ("https://example.org/localhost", false),
        ] {
            assert_eq!(Location::parse(text, Path::new("/")).is_local(), local, "{text}");
        }
    }
}
