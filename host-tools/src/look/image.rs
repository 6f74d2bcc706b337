//! The verbs `ls` and `cat`: what is in a system image, without mounting it.
//!
//! Names are printed as they are, but control characters and bytes that are no UTF-8 as `\ooo`: an image from
//! elsewhere must not speak to the terminal. JSON has U+FFFD for such bytes.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use genpack_core::fs::squashfs::FileType;
use serde_json::{Value, json};

use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;
use crate::io::system_image::{Entry, SystemImage};
use crate::ui::Ui;

/// Prints a directory's entries, or the one thing at `path`; `long` adds mode, owner, size and time.
///
/// As with `ls`, a link named by `path` is followed, except for `-l`, which shows the link.
///
/// # Errors
/// When the image cannot be read or has no such path.
pub fn ls(ctx: &Ctx, image: &Path, path: &str, long: bool) -> Result<()> {
    let image = SystemImage::open(image)?;
    let found = if long { image.stat_no_follow(path)? } else { image.stat(path)? };
    let Some(found) = found else {
        return Err(CommandError::failed(format!("{path} is not in {}", image.path().display()))
            .hint("genpack-host ls IMAGE lists what is there"));
    };
    let (directory, entries) = if found.is_directory() {
        (path, image.entries(path)?.unwrap_or_default())
    } else {
        ("", vec![Entry { name: path.as_bytes().to_vec(), ..found }])
    };
    if ctx.ui.is_json() {
        ctx.ui.document(&entries.iter().map(|e| object(directory, e)).collect());
    } else if long {
        long_lines(&entries).iter().for_each(|line| ctx.ui.answer(line));
    } else {
        entries.iter().for_each(|e| ctx.ui.answer(printable(&e.name)));
    }
    Ok(())
}

/// Writes a file's content to stdout; a reader that goes away early is no error.
///
/// # Errors
/// When the image cannot be read, `path` is no regular file, or stdout cannot be written.
pub fn cat(ctx: &Ctx, image: &Path, path: &str) -> Result<()> {
    let mut stdout = Stdout { ui: &ctx.ui, is_closed: false };
    match SystemImage::open(image)?.copy(path, &mut stdout) {
        Err(_) if stdout.is_closed => Ok(()),
        copied => copied.map(|_| ()),
    }
}

/// Stdout that remembers whether its reader went away.
struct Stdout<'u> {
    ui: &'u Ui,
    is_closed: bool,
}

impl Write for Stdout<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.ui.answer_bytes(bytes);
        self.is_closed |= written.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe);
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the lines of `ls -l`: mode, owner, size or device number, time, name, target.
#[must_use]
pub fn long_lines(entries: &[Entry]) -> Vec<String> {
    let owner = |e: &Entry| format!("{}/{}", e.uid, e.gid);
    let size =
        |e: &Entry| e.device.map_or_else(|| e.size.to_string(), |d| format!("{},{}", d.major, d.minor));
    let owners = entries.iter().map(|e| owner(e).len()).max().unwrap_or(0);
    let sizes = entries.iter().map(|e| size(e).len()).max().unwrap_or(0);
    let line = |e: &Entry| {
        let target = e.target.as_ref().map(|t| format!(" -> {}", printable(t))).unwrap_or_default();
        format!(
            "{} {:owners$} {:>sizes$} {} {}{target}",
            mode(e),
            owner(e),
            size(e),
            iso8601(e.mtime),
            printable(&e.name)
        )
    };
    entries.iter().map(line).collect()
}

fn object(directory: &str, e: &Entry) -> Value {
    let name = String::from_utf8_lossy(&e.name);
    let directory = directory.trim_end_matches('/');
    let path = if directory.is_empty() && name.starts_with('/') {
        name.into_owned()
    } else {
        format!("/{directory}/{name}").replace("//", "/")
    };
    let mut object = json!({
        "path": path,
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
    object
}

pub(super) const fn type_name(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Directory => "directory",
        FileType::RegularFile => "file",
        FileType::Symlink => "symlink",
        FileType::BlockDevice => "block",
        FileType::CharDevice => "char",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
    }
}

/// Returns the ten characters of `ls -l`.
fn mode(e: &Entry) -> String {
    let kind = match e.file_type {
        FileType::Directory => 'd',
        FileType::RegularFile => '-',
        FileType::Symlink => 'l',
        FileType::BlockDevice => 'b',
        FileType::CharDevice => 'c',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
    };
    let mut text = String::from(kind);
    // Read, write, execute of owner, group, others; the special bit of each with the letter that shows it.
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = e.mode >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (e.mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, false) => letter.to_ascii_uppercase(),
            (true, true) => letter,
        });
    }
    text
}

/// Returns the time in UTC, as in `2026-11-21T02:36:00Z`.
pub(super) fn iso8601(seconds: u32) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Civil date from a day count, in years that begin in March so that the leap day is the last one
    // (https://howardhinnant.github.io/date_algorithms.html, civil_from_days).
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u32::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

pub(super) fn printable(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                let mut utf8 = [0; 4];
                octal(&mut text, c.encode_utf8(&mut utf8).as_bytes());
            } else {
                text.push(c);
            }
        }
        octal(&mut text, chunk.invalid());
    }
    text
}

fn octal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "\\{byte:03o}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use genpack_core::fs::squashfs::Device;

    fn file(name: &str, mode: u16, size: u64) -> Entry {
        Entry {
            name: name.into(),
            file_type: FileType::RegularFile,
            mode,
            uid: 0,
            gid: 0,
            size,
            mtime: 0,
            nlink: 1,
            inode_number: 1,
            inode: genpack_core::fs::squashfs::InodeRef(0),
            device: None,
            target: None,
            xattr: None,
        }
    }

    #[test]
    fn long_lines_are_aligned_and_complete() {
        let entries = [
            file("a", 0o644, 12345),
            Entry { file_type: FileType::Symlink, target: Some(b"/x".to_vec()), ..file("b", 0o777, 2) },
            Entry {
                file_type: FileType::CharDevice,
                device: Some(Device { major: 1, minor: 3 }),
                uid: 1000,
                ..file("c", 0o666, 0)
            },
        ];
        assert_eq!(
            long_lines(&entries),
            [
                "-rw-r--r-- 0/0    12345 1970-01-01T00:00:00Z a",
                "lrwxrwxrwx 0/0        2 1970-01-01T00:00:00Z b -> /x",
                "crw-rw-rw- 1000/0   1,3 1970-01-01T00:00:00Z c",
            ]
        );
    }

    #[test]
    fn special_bits_show_as_ls_shows_them() {
        let shown = |bits| mode(&file("", bits, 0));
        assert_eq!(shown(0o4755), "-rwsr-xr-x");
        assert_eq!(shown(0o2644), "-rw-r-Sr--");
        assert_eq!(shown(0o1777), "-rwxrwxrwt");
        assert_eq!(shown(0o7000), "---S--S--T");
    }

    #[test]
    fn time_is_iso_8601_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (u32::MAX, "2106-02-07T06:28:15Z"),
        ] {
            assert_eq!(iso8601(seconds), text);
        }
    }

    #[test]
    fn name_with_terminal_codes_is_escaped() {
        assert_eq!(printable(b"a\x1b[2J"), "a\\033[2J");
        assert_eq!(printable(b"\xff\n"), "\\377\\012");
        assert_eq!(printable("grün\\x2d".as_bytes()), "grün\\x2d");
    }

    #[test]
    fn json_path_is_absolute() {
        for (directory, name, path) in [
            ("/", "a", "/a"),
            ("boot", "a", "/boot/a"),
            ("/boot/", "a", "/boot/a"),
            ("", "/boot/a", "/boot/a"),
            ("", "boot/a", "/boot/a"),
        ] {
            assert_eq!(object(directory, &file(name, 0o644, 0))["path"], path);
        }
    }
}
