//! The lines of `ls`: a hundred thousand of them must not wait for a formatter.

use genpack_core::fs::squashfs::FileType;

use crate::io::printable::push_printable;
use crate::io::system_image::Entry;

/// Column widths of a listing whose entries are not known yet: `root` and usual sizes stay in their columns.
const OWNER_WIDTH: usize = 9;
const SIZE_WIDTH: usize = 10;

/// Makes lines; one buffer for all of them.
#[derive(Debug)]
pub(super) struct Lines {
    owner_width: usize,
    size_width: usize,
    line: String,
    /// The time that was written last: neighbours often share it.
    time: (u32, String),
}

impl Default for Lines {
    fn default() -> Self {
        Self { owner_width: OWNER_WIDTH, size_width: SIZE_WIDTH, line: String::new(), time: (0, iso8601(0)) }
    }
}

impl Lines {
    /// Returns what makes lines whose columns fit these entries.
    pub(super) fn aligned(entries: &[Entry]) -> Self {
        let (mut owner_width, mut size_width) = (0, 0);
        let mut text = String::new();
        for entry in entries {
            text.clear();
            push_owner(&mut text, entry);
            owner_width = owner_width.max(text.len());
            text.clear();
            push_size(&mut text, entry);
            size_width = size_width.max(text.len());
        }
        Self { owner_width, size_width, ..Self::default() }
    }

    /// Returns a line of the name alone, which is given in parts.
    pub(super) fn short(&mut self, name: &[&[u8]]) -> &str {
        self.line.clear();
        name.iter().for_each(|part| push_printable(&mut self.line, part));
        self.line.push('\n');
        &self.line
    }

    /// Returns a line of mode, owner, size or device number, time, name, target.
    pub(super) fn long(&mut self, entry: &Entry, name: &[&[u8]]) -> &str {
        let line = &mut self.line;
        line.clear();
        push_mode(line, entry);
        line.push(' ');
        let start = line.len();
        push_owner(line, entry);
        for _ in line.len() - start..self.owner_width + 1 {
            line.push(' ');
        }
        let start = line.len();
        push_size(line, entry);
        let width = line.len() - start;
        for _ in width..self.size_width {
            line.insert(start, ' ');
        }
        line.push(' ');
        if self.time.0 != entry.mtime {
            self.time = (entry.mtime, iso8601(entry.mtime));
        }
        line.push_str(&self.time.1);
        line.push(' ');
        name.iter().for_each(|part| push_printable(line, part));
        if let Some(target) = &entry.target {
            line.push_str(" -> ");
            push_printable(line, target);
        }
        line.push('\n');
        line
    }
}

/// Returns the lines of `ls -l`: mode, owner, size or device number, time, name, target.
#[must_use]
pub fn long_lines(entries: &[Entry]) -> Vec<String> {
    let mut lines = Lines::aligned(entries);
    entries.iter().map(|e| lines.long(e, &[&e.name]).trim_end_matches('\n').to_owned()).collect()
}

fn push_owner(text: &mut String, entry: &Entry) {
    push_decimal(text, entry.uid.into());
    text.push('/');
    push_decimal(text, entry.gid.into());
}

fn push_size(text: &mut String, entry: &Entry) {
    match entry.device {
        Some(device) => {
            push_decimal(text, device.major.into());
            text.push(',');
            push_decimal(text, device.minor.into());
        }
        None => push_decimal(text, entry.size),
    }
}

fn push_decimal(text: &mut String, number: u64) {
    if number > 9 {
        push_decimal(text, number / 10);
    }
    let digit = u32::try_from(number % 10).ok();
    text.extend(digit.and_then(|digit| char::from_digit(digit, 10)));
}

pub(in crate::look) const fn type_name(file_type: FileType) -> &'static str {
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

/// Puts the ten characters of `ls -l`.
fn push_mode(text: &mut String, e: &Entry) {
    text.push(match e.file_type {
        FileType::Directory => 'd',
        FileType::RegularFile => '-',
        FileType::Symlink => 'l',
        FileType::BlockDevice => 'b',
        FileType::CharDevice => 'c',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
    });
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
}

/// Returns the time in UTC, as in `2026-11-21T02:36:00Z`.
pub(in crate::look) fn iso8601(seconds: u32) -> String {
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use genpack_core::fs::squashfs::Device;

    pub(in super::super) fn file(name: &str, mode: u16, size: u64) -> Entry {
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
            fragment: None,
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
        let shown = |bits| {
            let mut text = String::new();
            push_mode(&mut text, &file("", bits, 0));
            text
        };
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
}
