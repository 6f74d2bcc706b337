//! `get-rpm-download-url REPO PACKAGE [--arch ARCH] [--ttl SECONDS] [--debug]`: where the newest RPM of a package is.
//!
//! A repository's `repodata/repomd.xml` names its list of packages (`primary`). Newest is the largest time of the file,
//! as the repository gives it. Read are the few elements that say this; signatures are not checked.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::{At, Failure, Result, Words, download, say};

const CACHE: &str = "/var/cache/download";
/// A list of packages, unpacked; those of whole distributions have some 100 MB.
const MAX_BYTES: u64 = 1 << 30;

pub(crate) fn run(args: &[String]) -> Result<()> {
    let words = Words::read(args, &["--arch", "--ttl"], &["--debug"])?;
    let [repository, package] = words.rest.as_slice() else {
        return Err(Failure::usage("usage: get-rpm-download-url REPO PACKAGE [--arch ARCH] [--ttl SECONDS]"));
    };
    let repository = format!("{}/", repository.trim_end_matches('/'));
    let arch = words.value("--arch").unwrap_or(std::env::consts::ARCH);
    let ttl = words.value("--ttl").unwrap_or("3600");
    let ttl = ttl.parse().map_err(|_| Failure::usage(format!("{ttl:?} is no number of seconds")))?;
    let index = fetched(&format!("{repository}repodata/repomd.xml"), ttl)?;
    let index = String::from_utf8_lossy(&index).into_owned();
    let place =
        primary(&index).ok_or_else(|| Failure::new(format!("{repository} has no list of packages")))?;
    let list = unpacked(&place, fetched(&format!("{repository}{place}"), ttl)?)?;
    match newest(&list, package, arch) {
        Some(place) => say(format!("{repository}{place}\n").as_bytes()),
        None => Err(Failure::new(format!("{repository} has no {package} for {arch}"))),
    }
}

/// Returns the body of a URL, that of the last hour when there is one.
fn fetched(url: &str, ttl: u64) -> Result<Vec<u8>> {
    let kept = Path::new(CACHE).join(download::hex(url.as_bytes()));
    let age = std::fs::metadata(&kept).and_then(|m| m.modified()).ok();
    let age = age.and_then(|t| SystemTime::now().duration_since(t).ok());
    let file = match age {
        Some(age) if age < Duration::from_secs(ttl) => kept,
        _ => download::cached(Path::new(CACHE), url, "genpack-download/1.0")?,
    };
    std::fs::read(&file).at(|| format!("reading {}", file.display()))
}

/// Returns the text of a list, unpacked by the program of the userland that knows its ending.
fn unpacked(name: &str, bytes: Vec<u8>) -> Result<String> {
    let program = match name.rsplit('.').next() {
        Some("gz") => "gzip",
        Some("xz") => "xz",
        Some("bz2") => "bzip2",
        Some("zst") => "zstd",
        Some("xml") => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
        _ => return Err(Failure::new(format!("{name} is packed in a way that is not known here"))),
    };
    let what = || format!("unpacking {name} with {program}");
    let mut command = Command::new(program);
    command.arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().at(what)?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let mut text = Vec::new();
    let read = std::thread::scope(|scope| {
        // Why: a program that ends early closes its input; its exit status tells that story.
        scope.spawn(move || input.map(|mut pipe| pipe.write_all(&bytes)));
        output.map_or(Ok(0), |pipe| pipe.take(MAX_BYTES).read_to_end(&mut text))
    });
    read.at(what)?;
    let status = child.wait().at(what)?;
    if status.success() {
        Ok(String::from_utf8_lossy(&text).into_owned())
    } else {
        Err(Failure::new(format!("{} failed ({status})", what())))
    }
}

/// Returns the elements of this name, each from its begin tag to its end.
fn elements<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find(&open)?;
            let tail = rest.get(at..)?;
            let named = tail.get(open.len()..).is_some_and(|t| t.starts_with([' ', '>', '/', '\n', '\t']));
            let end = tail.find(&close).map(|e| e + close.len());
            let short =
                tail.find("/>").map(|e| e + 2).filter(|e| tail.find('>').is_some_and(|g| g + 1 == *e));
            let end = short.or(end)?;
            rest = tail.get(if named { end } else { open.len() }..)?;
            if named {
                return tail.get(..end);
            }
        }
    })
}

fn attribute<'t>(element: &'t str, name: &str) -> Option<&'t str> {
    let tag = element.split('>').next()?;
    let after = tag.split(&format!(" {name}=\"")).nth(1)?;
    after.split('"').next()
}

fn content<'t>(element: &'t str, name: &str) -> Option<&'t str> {
    let inner = elements(element, name).next()?;
    inner.split_once('>')?.1.split('<').next().map(str::trim)
}

fn primary(index: &str) -> Option<String> {
    let data = elements(index, "data").find(|d| attribute(d, "type") == Some("primary"))?;
    let place = elements(data, "location").next()?;
    Some(unescape(attribute(place, "href")?))
}

fn newest(list: &str, package: &str, arch: &str) -> Option<String> {
    let fitting = elements(list, "package").filter(|p| {
        let found = content(p, "arch");
        content(p, "name") == Some(package) && (found == Some(arch) || found == Some("noarch"))
    });
    let timed = fitting.filter_map(|p| {
        let time: u64 = attribute(elements(p, "time").next()?, "file")?.parse().ok()?;
        Some((time, attribute(elements(p, "location").next()?, "href")?))
    });
    timed.max_by_key(|(time, _)| *time).map(|(_, place)| unescape(place))
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_and_newest_package_are_found() {
        let index = "<repomd><data type=\"filelists\"><location href=\"f.gz\"/></data>\
                     <data type=\"primary\">\n <location href=\"repodata/p.xml.gz\"/></data></repomd>";
        assert_eq!(primary(index).as_deref(), Some("repodata/p.xml.gz"));
        let package = |name: &str, arch: &str, time: u32, place: &str| {
            format!(
                "<package type=\"rpm\"><name>{name}</name><arch>{arch}</arch>\
                 <time file=\"{time}\" build=\"1\"/><location href=\"{place}\"/></package>"
            )
        };
        let list = format!(
            "<metadata packages=\"4\">{}{}{}{}</metadata>",
            package("a", "x86_64", 5, "old"),
            package("a", "x86_64", 7, "new&amp;1"),
            package("a", "aarch64", 9, "arm"),
            package("ab", "noarch", 9, "other"),
        );
        assert_eq!(newest(&list, "a", "x86_64").as_deref(), Some("new&1"));
        assert_eq!(newest(&list, "ab", "riscv64").as_deref(), Some("other"));
        assert_eq!(newest(&list, "c", "x86_64"), None);
        assert_eq!(newest("<package><name>a", "a", "x86_64"), None);
    }

    #[test]
    fn lists_are_unpacked_by_their_ending() {
        // "text", by gzip -n.
        let gz = [
            0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x2b, 0x49, 0xad, 0x28, 1, 0, 0xc7, 0xa7, 0x8b, 0x3b, 4, 0,
            0, 0,
        ];
        assert_eq!(unpacked("p.xml.gz", gz.to_vec()).unwrap(), "text");
        assert_eq!(unpacked("p.xml", b"text".to_vec()).unwrap(), "text");
        assert!(unpacked("p.xml.gz", b"no gzip".to_vec()).is_err());
        assert!(unpacked("p.sqlite", Vec::new()).is_err());
    }
}
