//! The verbs `ls` and `cat`: what is in a system image, without mounting it.
//!
//! Names are printed as they are, but control characters and bytes that are no UTF-8 as `\ooo`: an image from
//! elsewhere must not speak to the terminal. JSON has U+FFFD for such bytes, and the bytes themselves beside it.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use genpack_core::fs::squashfs::FileType;

use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::printable::printable;
use crate::io::system_image::{Entry, SystemImage};
use crate::ui::Ui;

mod json;
mod text;

pub use text::long_lines;
pub(super) use text::{iso8601, type_name};

/// How much of a listing is written at once, in bytes.
const OUTPUT_BYTES: usize = 64 << 10;

/// How `ls` lists.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Mode, owner, size and time, too.
    pub long: bool,
    /// Everything below, by its path.
    pub recursive: bool,
}

/// Prints a directory's entries, or the one thing at `path`.
///
/// As with `ls`, a link named by `path` is followed, except for a long listing, which shows the link.
///
/// # Errors
/// When the image cannot be read or has no such path.
pub fn ls(ctx: &Ctx, image: &Path, path: &[u8], style: Style) -> Result<()> {
    let image = SystemImage::open(image)?;
    let found = if style.long { image.stat_no_follow(path)? } else { image.stat(path)? };
    let Some(found) = found else {
        let what = format!("{} is not in {}", printable(path), image.path().display());
        return Err(CommandError::failed(what).hint("genpack-host ls IMAGE lists what is there"));
    };
    let mut stdout = Stdout { ui: &ctx.ui, is_closed: false };
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, &mut stdout);
    let mut listed = match (style.recursive && found.is_directory(), ctx.ui.is_json()) {
        (true, false) => recursive(&image, path, &found, style.long, &mut out),
        (true, true) => json::recursive(&image, path, &found, &mut out),
        (false, is_json) => {
            let is_directory = found.is_directory();
            let directory = if is_directory { path } else { b"" };
            let entries = if is_directory {
                image.entries(path)?.unwrap_or_default()
            } else {
                vec![Entry { name: path.to_vec(), ..found }]
            };
            if is_json {
                json::entries(directory, &entries, &mut out)
            } else {
                lines(&entries, style.long, &mut out)
            }
        }
    };
    if listed.is_ok() {
        listed = out.flush().context(WRITING);
    }
    // What is left in the buffer was refused, or follows an error: it must not be tried again.
    drop(out.into_parts());
    // A reader that has seen enough (`… | head`) is no error.
    if stdout.is_closed { Ok(()) } else { listed }
}

const WRITING: &str = "writing to stdout";

fn lines(entries: &[Entry], long: bool, out: &mut dyn Write) -> Result<()> {
    let mut lines = text::Lines::aligned(entries);
    for entry in entries {
        let line = if long { lines.long(entry, &[&entry.name]) } else { lines.short(&[&entry.name]) };
        out.write_all(line.as_bytes()).context(WRITING)?;
    }
    Ok(())
}

/// Prints what is below the directory, one path per line, as it is found.
fn recursive(
    image: &SystemImage,
    directory: &[u8],
    top: &Entry,
    long: bool,
    out: &mut dyn Write,
) -> Result<()> {
    let prefix = prefix(directory);
    let mut lines = text::Lines::default();
    if !long {
        // Why by itself: names alone need no inode of a file.
        return image.walk_names(top.inode, &mut |path, _, _, file_type| {
            out.write_all(lines.short(&[&prefix, path]).as_bytes()).context(WRITING)?;
            Ok(file_type == FileType::Directory)
        });
    }
    image.walk_below(top.inode, &mut |path, entry| {
        out.write_all(lines.long(entry, &[&prefix, path]).as_bytes()).context(WRITING)
    })
}

/// Returns the absolute path of a directory, with a slash at its end.
fn prefix(directory: &[u8]) -> Vec<u8> {
    let mut path = b"/".to_vec();
    for name in directory.split(|b| *b == b'/').filter(|name| !name.is_empty()) {
        path.extend_from_slice(name);
        path.push(b'/');
    }
    path
}

/// Writes a file's content to stdout; a reader that goes away early is no error.
///
/// # Errors
/// When the image cannot be read, `path` is no regular file, or stdout cannot be written.
pub fn cat(ctx: &Ctx, image: &Path, path: &[u8]) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn prefix_is_absolute_and_ends_in_a_slash() {
        for (directory, path) in [("", "/"), ("/", "/"), ("boot", "/boot/"), ("//usr//bin/", "/usr/bin/")] {
            assert_eq!(prefix(directory.as_bytes()), path.as_bytes());
        }
    }
}
