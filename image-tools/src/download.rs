//! `download [--cachedir DIR] [--user-agent UA] [--sha256 HEX] URL`: the body, on standard output.
//!
//! What was fetched is kept under the SHA-256 of its URL, beside it what the server said of it, so that the next build
//! asks only whether it changed.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::fetch::{self, Known};
use crate::{At, Failure, Result, Words, say};

const DIRECTORY: &str = "/var/cache/download";
/// Some networks of servers refuse what calls itself a library.
const AGENT: &str = "genpack-download/1.0";

pub(crate) fn run(args: &[String]) -> Result<()> {
    let words = Words::read(args, &["--cachedir", "--user-agent", "--sha256"], &[])?;
    let [url] = words.rest.as_slice() else {
        return Err(Failure::usage("usage: download [--cachedir DIR] [--user-agent UA] [--sha256 HEX] URL"));
    };
    let directory = PathBuf::from(words.value("--cachedir").unwrap_or(DIRECTORY));
    let file = cached(&directory, url, words.value("--user-agent").unwrap_or(AGENT))?;
    let bytes = std::fs::read(&file).at(|| format!("reading {}", file.display()))?;
    if let Some(wanted) = words.value("--sha256") {
        let found = hex(&bytes);
        if !found.eq_ignore_ascii_case(wanted) {
            return Err(Failure::new(format!("{url} has the SHA-256 {found}, not {wanted}")));
        }
    }
    say(&bytes)
}

/// Returns a file with the newest body of a URL.
pub(crate) fn cached(directory: &Path, url: &str, agent: &str) -> Result<PathBuf> {
    std::fs::create_dir_all(directory).at(|| format!("creating {}", directory.display()))?;
    let file = directory.join(hex(url.as_bytes()));
    let with = |suffix: &str| PathBuf::from(format!("{}{suffix}", file.display()));
    let (meta, partial) = (with(".meta"), with(&format!(".{}.tmp", std::process::id())));
    let known = if file.is_file() { read_known(&meta) } else { None };
    let asked = fetch::get(url, &partial, agent, known.as_ref().unwrap_or(&Known::default()));
    let kept = match asked {
        Ok(answer) if answer.code == 304 && known.is_some() => Ok(()),
        Ok(answer) if answer.code < 300 => keep(&partial, &file, &meta, &answer.known),
        Ok(answer) => Err(Failure::new(format!("{url}: the server answers with an error ({})", answer.code))),
        Err(failure) => Err(failure),
    };
    if partial.exists() {
        std::fs::remove_file(&partial).at(|| format!("removing {}", partial.display()))?;
    }
    kept.map(|()| file)
}

fn keep(partial: &Path, file: &Path, meta: &Path, known: &Known) -> Result<()> {
    let keeping = || format!("keeping {}", file.display());
    // An empty body leaves no file behind with some programs.
    if !partial.exists() {
        std::fs::write(partial, b"").at(keeping)?;
    }
    if meta.exists() {
        std::fs::remove_file(meta).at(keeping)?;
    }
    std::fs::rename(partial, file).at(keeping)?;
    let mut members = serde_json::Map::new();
    for (name, value) in [("etag", &known.etag), ("last_modified", &known.last_modified)] {
        if let Some(value) = value {
            members.insert(name.to_owned(), value.clone().into());
        }
    }
    std::fs::write(meta, serde_json::Value::Object(members).to_string()).at(keeping)
}

fn read_known(meta: &Path) -> Option<Known> {
    /// Ours are some hundred bytes.
    const MAX_BYTES: u64 = 64 << 10;
    let mut text = String::new();
    std::fs::File::open(meta).ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    let member = |name: &str| value.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    let known = Known { etag: member("etag"), last_modified: member("last_modified") };
    (known != Known::default()).then_some(known)
}

/// Returns the SHA-256 in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_tells_how_to_ask_again() {
        let dir = tempfile::tempdir().unwrap();
        let (partial, file, meta) = (dir.path().join("p"), dir.path().join("f"), dir.path().join("m"));
        std::fs::write(&partial, "body").unwrap();
        let known = Known { etag: Some("\"x\"".into()), last_modified: None };
        keep(&partial, &file, &meta, &known).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"body");
        assert_eq!(read_known(&meta), Some(known));
        keep(&partial, &file, &meta, &Known::default()).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"");
        assert_eq!(read_known(&meta), None);
    }
}
