//! `ls --json`: one array of objects, written as the entries are found.
//!
//! JSON has no bytes. `path` and `target` are text, with U+FFFD where the bytes are no UTF-8; then `path_bytes` and
//! `target_bytes` stand beside them: the exact bytes, as numbers from 0 to 255.

use std::io::Write;

use serde_json::{Value, json};

use super::text::{iso8601, type_name};
use super::{WRITING, prefix};
use crate::command_error::{Context, Result};
use crate::io::system_image::{Entry, SystemImage};

/// Writes the entries of one directory; `directory` is empty when there is only one thing, named by its path.
pub(super) fn entries(directory: &[u8], entries: &[Entry], out: &mut dyn Write) -> Result<()> {
    let mut array = Array { out, is_empty: true };
    for e in entries {
        array.push(&object(&path(directory, &e.name), e))?;
    }
    array.end()
}

/// Writes what is below a directory.
pub(super) fn recursive(
    image: &SystemImage,
    directory: &[u8],
    top: &Entry,
    out: &mut dyn Write,
) -> Result<()> {
    let mut array = Array { out, is_empty: true };
    image.walk_below(top.inode, &mut |name, e| array.push(&object(&path(directory, name), e)))?;
    array.end()
}

struct Array<'o> {
    out: &'o mut dyn Write,
    is_empty: bool,
}

impl Array<'_> {
    fn push(&mut self, value: &Value) -> Result<()> {
        let before = if self.is_empty { "[\n" } else { ",\n" };
        self.is_empty = false;
        write!(self.out, "{before}{value}").context(WRITING)
    }

    fn end(self) -> Result<()> {
        self.out.write_all(if self.is_empty { b"[]\n" } else { b"\n]\n" }).context(WRITING)
    }
}

fn path(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = prefix(directory);
    path.extend_from_slice(name.strip_prefix(b"/").unwrap_or(name));
    path
}

fn object(path: &[u8], e: &Entry) -> Value {
    let mut object = json!({
        "path": String::from_utf8_lossy(path),
        "type": type_name(e.file_type),
        "mode": format!("{:04o}", e.mode),
        "uid": e.uid,
        "gid": e.gid,
        "size": e.size,
        "mtime": iso8601(e.mtime),
    });
    if let Some(target) = &e.target {
        object["target"] = String::from_utf8_lossy(target).into();
    }
    if let Some(device) = e.device {
        object["major"] = device.major.into();
        object["minor"] = device.minor.into();
    }
    for (key, bytes) in [("path_bytes", Some(path)), ("target_bytes", e.target.as_deref())] {
        if let Some(bytes) = bytes.filter(|bytes| std::str::from_utf8(bytes).is_err()) {
            object[key] = bytes.into();
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::look::image::text::tests::file;

    #[test]
    fn path_is_absolute() {
        for (directory, name, expected) in [
            ("/", "a", "/a"),
            ("boot", "a", "/boot/a"),
            ("/boot/", "a", "/boot/a"),
            ("", "/boot/a", "/boot/a"),
            ("", "boot/a", "/boot/a"),
        ] {
            assert_eq!(path(directory.as_bytes(), name.as_bytes()), expected.as_bytes());
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_stand_beside_the_text() {
        let e = Entry { target: Some(b"t\xFE".to_vec()), ..file("", 0o644, 0) };
        let shown = object(b"/a\xFF", &e);
        assert_eq!((&shown["path"], &shown["target"]), (&"/a\u{FFFD}".into(), &"t\u{FFFD}".into()));
        assert_eq!(shown["path_bytes"], json!([47, 97, 255]));
        assert_eq!(shown["target_bytes"], json!([116, 254]));
        let shown = object(b"/a", &file("", 0o644, 0));
        assert_eq!((shown.get("path_bytes"), shown.get("target_bytes")), (None, None));
    }

    #[test]
    fn array_without_entries_is_empty() {
        let mut out = Vec::new();
        entries(b"/", &[], &mut out).unwrap();
        assert_eq!(out, b"[]\n");
    }
}
