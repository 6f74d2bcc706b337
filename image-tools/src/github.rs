//! `get-github-download-url USER PROJECT [PATTERN]`: where the newest release of a project is.
//!
//! PATTERN is a regular expression that the name of an asset begins with, or `@tarball`, `@zipball`. Without one the
//! names are listed. A project without releases has tags; those have no assets.

use std::path::Path;

use regex_lite::Regex;
use serde_json::Value;

use crate::{At, Failure, Result, fetch, say};

const API: &str = "https://api.github.com/repos";

pub(crate) fn run(args: &[String]) -> Result<()> {
    let (user, project, pattern) = match args {
        [user, project] => (user, project, None),
        [user, project, pattern] => (user, project, Some(pattern.as_str())),
        _ => return Err(Failure::usage("usage: get-github-download-url USER PROJECT [PATTERN]")),
    };
    let release = match ask(&format!("{API}/{user}/{project}/releases/latest"))? {
        Some(release) => release,
        None => {
            let tags = ask(&format!("{API}/{user}/{project}/tags"))?;
            let first = tags.as_ref().and_then(|t| t.get(0)).cloned();
            first.ok_or_else(|| Failure::new(format!("{user}/{project} has neither a release nor a tag")))?
        }
    };
    match pattern {
        None => say(names(&release).join("\n").as_bytes()),
        Some(pattern) => match choose(&release, pattern)? {
            Some(url) => say(format!("{url}\n").as_bytes()),
            // Scripts take the words off standard output.
            None => {
                say(format!("no asset matches {pattern:?}\n").as_bytes())?;
                Err(Failure::new(format!(
                    "the newest release of {user}/{project} has: {}",
                    names(&release).join(" ")
                )))
            }
        },
    }
}

fn ask(url: &str) -> Result<Option<Value>> {
    let file = std::env::temp_dir().join(format!("genpack-github.{}", std::process::id()));
    let answer = fetch::get(url, &file, "genpack-download/1.0", &fetch::Known::default());
    let bytes = std::fs::read(&file).unwrap_or_default();
    if file.exists() {
        std::fs::remove_file(&file).at(|| format!("removing {}", Path::new(&file).display()))?;
    }
    match answer? {
        answer if answer.code == 404 => Ok(None),
        _ => serde_json::from_slice(&bytes).map(Some).map_err(|e| Failure::new(format!("{url}: {e}"))),
    }
}

fn names(release: &Value) -> Vec<&str> {
    let assets = release.get("assets").and_then(Value::as_array).into_iter().flatten();
    ["@tarball", "@zipball"].into_iter().chain(assets.filter_map(|a| a.get("name")?.as_str())).collect()
}

fn choose<'r>(release: &'r Value, pattern: &str) -> Result<Option<&'r str>> {
    let member = |name: &str| release.get(name).and_then(Value::as_str);
    match pattern {
        "@tarball" => return Ok(member("tarball_url")),
        "@zipball" => return Ok(member("zipball_url")),
        _ => {}
    }
    let regex = Regex::new(&format!("^(?:{pattern})"))
        .map_err(|e| Failure::usage(format!("{pattern:?} is no regular expression: {e}")))?;
    let assets = release.get("assets").and_then(Value::as_array);
    let mut matching = assets
        .into_iter()
        .flatten()
        .filter(|a| a.get("name").and_then(Value::as_str).is_some_and(|name| regex.is_match(name)));
    Ok(matching.next().and_then(|a| a.get("browser_download_url")?.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_asset_that_begins_so_is_chosen() {
        let release = serde_json::json!({"tarball_url": "t", "zipball_url": "z", "assets": [
            {"name": "old-linux.tar.gz", "browser_download_url": "o"},
            {"name": "linux-amd64.tar.gz", "browser_download_url": "a"},
            {"name": "linux-amd64.deb", "browser_download_url": "b"},
        ]});
        for (pattern, expected) in [
            ("linux-.*\\.tar", Some("a")),
            ("linux-amd64\\.deb$", Some("b")),
            ("tar", None),
            ("a|linux", Some("a")),
            ("@tarball", Some("t")),
            ("@zipball", Some("z")),
        ] {
            assert_eq!(choose(&release, pattern).unwrap(), expected, "{pattern}");
        }
        assert_eq!(choose(&release, "(").unwrap_err().code, 2);
        assert_eq!(names(&release)[..3], ["@tarball", "@zipball", "old-linux.tar.gz"]);
    }
}
