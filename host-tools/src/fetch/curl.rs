//! The arguments of curl(1), and what its answer means.

use std::path::Path;

use crate::runner::Run;

/// Status of curl when a server does not continue a download.
pub const CANNOT_RESUME: i32 = 33;
/// Status of curl when a server answers with an error (`--fail`).
pub const HTTP_ERROR: i32 = 22;

/// What is known of a file that was brought before, wholly or in part.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    /// The server's tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The server's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

impl Validators {
    /// Reads them off the headers of the last answer; curl writes those of redirections before it.
    #[must_use]
    pub fn of_headers(headers: &str) -> Self {
        let mut found = Self::default();
        for line in headers.lines() {
            if line.starts_with("HTTP/") {
                found = Self::default();
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = Some(value.trim().to_owned()).filter(|v| !v.is_empty());
            if name.eq_ignore_ascii_case("etag") {
                found.etag = value;
            } else if name.eq_ignore_ascii_case("last-modified") {
                found.last_modified = value;
            }
        }
        found
    }

    /// Returns the one that proves two answers to be the same bytes.
    #[must_use]
    pub fn strong(&self) -> Option<&str> {
        self.etag.as_deref().filter(|e| !e.starts_with("W/")).or(self.last_modified.as_deref())
    }
}

/// What is asked for.
#[derive(Debug)]
pub enum Ask<'a> {
    /// The whole file.
    Whole,
    /// The file, unless it is still this one.
    IfChanged(&'a Validators),
    /// What is missing of this one.
    Rest(&'a Validators),
}

/// Returns the command that writes the body to `body` and the headers to `headers`.
///
/// It prints the code of the answer. There is no limit for the whole, but a server that is silent is given up.
#[must_use]
pub fn command(url: &str, ask: &Ask<'_>, body: &Path, headers: &Path) -> Run {
    let mut run = Run::new("curl").package("curl").args([
        "--fail",
        "--silent",
        "--show-error",
        "--location",
        "--connect-timeout",
        "30",
        "--speed-limit",
        "1024",
        "--speed-time",
        "60",
        "--user-agent",
        concat!("genpack-host/", env!("CARGO_PKG_VERSION")),
        "--write-out",
        "%{http_code}",
    ]);
    run = run.arg("--dump-header").arg(headers).arg("--output").arg(body);
    match ask {
        Ask::Whole => {}
        Ask::IfChanged(known) => {
            for (name, value) in [("If-None-Match", &known.etag), ("If-Modified-Since", &known.last_modified)]
            {
                if let Some(value) = value {
                    run = run.arg("--header").arg(format!("{name}: {value}"));
                }
            }
        }
        Ask::Rest(known) => {
            run = run.args(["--continue-at", "-"]);
            if let Some(value) = known.strong() {
                run = run.arg("--header").arg(format!("If-Range: {value}"));
            }
        }
    }
    run.arg("--").arg(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(ask: &Ask<'_>) -> Vec<String> {
        let run = command("https://h/f", ask, Path::new("/b"), Path::new("/h"));
        run.argv.iter().skip(15).map(|a| a.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn questions_name_what_is_known() {
        let known = Validators { etag: Some("\"x\"".into()), last_modified: Some("Mon".into()) };
        let files = ["--dump-header", "/h", "--output", "/b"];
        let end = ["--", "https://h/f"];
        assert_eq!(words(&Ask::Whole), [&files[..], &end].concat());
        let headers = ["--header", "If-None-Match: \"x\"", "--header", "If-Modified-Since: Mon"];
        assert_eq!(words(&Ask::IfChanged(&known)), [&files[..], &headers, &end].concat());
        let rest = ["--continue-at", "-", "--header", "If-Range: \"x\""];
        assert_eq!(words(&Ask::Rest(&known)), [&files[..], &rest, &end].concat());
    }

    #[test]
    fn validators_are_those_of_the_last_answer() {
        let headers = "HTTP/1.1 302 Found\r\nETag: \"old\"\r\n\r\nHTTP/2 200\r\nlast-modified: Tue\r\n\r\n";
        let found = Validators::of_headers(headers);
        assert_eq!(found, Validators { etag: None, last_modified: Some("Tue".into()) });
        let weak = Validators { etag: Some("W/\"x\"".into()), last_modified: None };
        assert_eq!(weak.strong(), None, "a weak tag does not prove bytes");
    }
}
