//! `extlinux.conf`: the boot menu that U-Boot's `sysboot` and distro boot read.
//!
//! The Boot Loader Interface of U-Boot ("Generic Distro Configuration Concept", `doc/README.pxe`): a line is a
//! keyword, in any case, and its words; `label` begins an entry; `#` begins a comment line. Every line is kept,
//! known or not. Not handled: `include`, the fallbacks between `fdtdir` and `fdt`, and what U-Boot makes of the menu.

use core::fmt;

use crate::bytes;
use crate::error::Class;

/// Keywords whose words are paths from the root of the boot partition.
const PATH_KEYWORDS: [&str; 7] =
    ["kernel", "linux", "initrd", "fdt", "devicetree", "fdtoverlays", "devicetree-overlay"];

/// Keywords that name a directory in which the loader chooses itself.
const DIRECTORY_KEYWORDS: [&str; 2] = ["fdtdir", "devicetreedir"];

/// The word that stands for "the boot partition that has a system image".
pub const AUTO_ROOT: &str = "root=systemimg:auto";

/// Why the files of a menu cannot be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A directory of device trees: which files are needed only the board knows.
    Directory {
        /// Line, from 1.
        line: u32,
    },
    /// A path with `..` in it leads out of the partition.
    Outside {
        /// Line, from 1.
        line: u32,
    },
}

impl Error {
    /// Returns the class.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Directory { .. } => Class::Unsupported,
            Self::Outside { .. } => Class::Corrupt,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { line } => write!(f, "line {line} names a directory instead of files"),
            Self::Outside { line } => write!(f, "line {line} names a file outside the partition"),
        }
    }
}

/// A line: keyword and words, both empty in empty lines and comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Line, from 1.
    pub number: u32,
    /// First word, as it is written.
    pub keyword: &'a str,
    /// What follows, without blanks at its ends.
    pub rest: &'a str,
    /// The whole line with its end.
    pub text: &'a str,
}

impl Line<'_> {
    /// Tells whether the line has this keyword, in any case.
    #[must_use]
    pub fn is(&self, keyword: &str) -> bool {
        self.keyword.eq_ignore_ascii_case(keyword)
    }
}

/// Returns all lines; together they are the text.
pub fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    bytes::numbered(bytes::lines_inclusive(text)).map(|(number, text)| {
        let content = text.trim_ascii();
        let end = content.find(|c: char| c.is_ascii_whitespace()).unwrap_or(content.len());
        let (keyword, rest) = match content.split_at_checked(end) {
            Some((keyword, rest)) if !content.starts_with('#') => (keyword, rest.trim_ascii()),
            _ => ("", ""),
        };
        Line { number, keyword, rest, text }
    })
}

/// Returns the names of the entries.
pub fn labels(text: &str) -> impl Iterator<Item = &str> {
    lines(text).filter(|line| line.is("label")).map(|line| line.rest)
}

/// Tells whether the words of a keyword are paths.
#[must_use]
pub fn is_path_keyword(word: &str) -> bool {
    PATH_KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// Returns the files that the menu needs, relative to the root of the partition and in order; files that several
/// entries share come several times.
pub fn paths(text: &str) -> impl Iterator<Item = Result<&str, Error>> {
    lines(text).flat_map(|line| {
        let is_directory = DIRECTORY_KEYWORDS.iter().any(|keyword| line.is(keyword));
        let refused = is_directory.then_some(Err(Error::Directory { line: line.number }));
        let words = if is_path_keyword(line.keyword) { line.rest } else { "" };
        refused.into_iter().chain(words.split_ascii_whitespace().map(move |word| {
            let is_outside = bytes::split(word, '/').any(|part| part == "..");
            if is_outside {
                Err(Error::Outside { line: line.number })
            } else {
                Ok(word.trim_start_matches('/'))
            }
        }))
    })
}

/// Writes the text with `root` in place of every word [`AUTO_ROOT`]; all else, comments too, is left alone.
///
/// # Errors
/// Only those of `out`.
pub fn emit_with_root(text: &str, root: &str, out: &mut impl fmt::Write) -> fmt::Result {
    for line in lines(text) {
        if line.keyword.is_empty() {
            out.write_str(line.text)?;
            continue;
        }
        // Why: blanks end a piece, so the pieces together are the line.
        for piece in line.text.split_inclusive(|c: char| c.is_ascii_whitespace()) {
            match piece.strip_prefix(AUTO_ROOT).filter(|end| end.trim_ascii().is_empty()) {
                Some(end) => write!(out, "{root}{end}")?,
                None => out.write_str(piece)?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    const MENU: &str = "# root=systemimg:auto\nprompt 1\r\nTIMEOUT 10\n\nlabel genpack\n\tLINUX /Image\n  initrd /a.img /b.img\n\
        \tfdt  /dtbs/x.dtb\n\tappend root=systemimg:auto quiet\t root=systemimg:autox\nlabel two words\n\
        kernel Image\nodd line\nappend x root=systemimg:auto";

    #[test]
    fn lines_are_the_whole_text_and_labels_are_found() {
        assert_eq!(lines(MENU).map(|line| line.text).collect::<String>(), MENU);
        assert_eq!(labels(MENU).collect::<Vec<_>>(), ["genpack", "two words"]);
        let timeout = lines(MENU).find(|line| line.is("timeout")).unwrap();
        assert_eq!((timeout.number, timeout.keyword, timeout.rest), (3, "TIMEOUT", "10"));
    }

    #[test]
    fn paths_are_relative_to_the_partition() {
        let all: Result<Vec<_>, _> = paths(MENU).collect();
        assert_eq!(all.unwrap(), ["Image", "a.img", "b.img", "dtbs/x.dtb", "Image"]);
        let text = "kernel /a\nfdtdir /dtbs\nfdtoverlays /x /../y ..z\n#kernel /c\n";
        let all: Vec<_> = paths(text).collect();
        let wanted =
            [Ok("a"), Err(Error::Directory { line: 2 }), Ok("x"), Err(Error::Outside { line: 3 }), Ok("..z")];
        assert_eq!(all, wanted);
        assert_eq!(Error::Directory { line: 1 }.class(), Class::Unsupported);
    }

    #[test]
    fn root_is_replaced_as_a_word_and_nothing_else_changes() {
        let mut out = String::new();
        emit_with_root(MENU, "root=systemimg:12AB-34CD", &mut out).unwrap();
        let wanted = MENU
            .replace("root=systemimg:auto quiet", "root=systemimg:12AB-34CD quiet")
            .replace("x root=systemimg:auto", "x root=systemimg:12AB-34CD");
        assert_eq!(out, wanted);
        out.clear();
        emit_with_root(MENU, AUTO_ROOT, &mut out).unwrap();
        assert_eq!(out, MENU);
    }
}
