//! CONTENTS: what an installed package owns, one line each, in `/var/db/pkg/<category>/<name-version>/`.
//!
//! Portage's own format (vdb, `dblink.mergeme`): `dir P`, `obj P MD5 MTIME`, `sym P -> T MTIME`, `fif P`, `dev P`.
//! Paths may contain blanks and `#`, so `obj` is read from the right. A `sym` ends its path at the first ` -> `, as
//! Portage reads it. Not handled: paths with a newline, which Portage cannot write either.

use core::fmt;

use crate::bytes;
use crate::error::{self, Class, TextError};

/// Why a line is none of CONTENTS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The line begins with none of the kinds.
    Kind,
    /// The path is not absolute.
    Path,
    /// No ` -> ` with a target.
    Target,
    /// No MD5 of 32 hexadecimal digits.
    Md5,
    /// No time of modification.
    Mtime,
}

impl error::Cause for Cause {
    fn class(self) -> Class {
        match self {
            Self::Kind => Class::Unsupported,
            Self::Path | Self::Target | Self::Md5 | Self::Mtime => Class::Corrupt,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "an unknown kind of entry",
            Self::Path => "a path that is not absolute",
            Self::Target => "a symbolic link without a target",
            Self::Md5 => "a file without an MD5",
            Self::Mtime => "an entry without a time",
        })
    }
}

/// Why a line is none of CONTENTS; the place is where the line begins.
pub type Error = TextError<Cause>;

/// A line of CONTENTS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A directory.
    Dir {
        /// Absolute path.
        path: &'a str,
    },
    /// A regular file.
    Obj {
        /// Absolute path.
        path: &'a str,
        /// MD5 of its content, 32 hexadecimal digits.
        md5: &'a str,
        /// Time of modification, in seconds of Unix time.
        mtime: i64,
    },
    /// A symbolic link.
    Sym {
        /// Absolute path.
        path: &'a str,
        /// What it points at, as it is written.
        target: &'a str,
        /// Time of modification, in seconds of Unix time.
        mtime: i64,
    },
    /// A FIFO.
    Fif {
        /// Absolute path.
        path: &'a str,
    },
    /// A device node.
    Dev {
        /// Absolute path.
        path: &'a str,
    },
}

impl<'a> Entry<'a> {
    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &'a str {
        match self {
            Self::Dir { path }
            | Self::Obj { path, .. }
            | Self::Sym { path, .. }
            | Self::Fif { path }
            | Self::Dev { path } => path,
        }
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    /// Says which part is missing.
    pub fn parse(line: &'a str) -> Result<Self, Cause> {
        let (kind, rest) = line.split_once(' ').ok_or(Cause::Kind)?;
        let entry = match kind {
            "dir" => Self::Dir { path: rest },
            "fif" => Self::Fif { path: rest },
            "dev" => Self::Dev { path: rest },
            "obj" => {
                let (rest, mtime) = mtime(rest)?;
                let (path, md5) = bytes::rsplit_once(rest, b' ').ok_or(Cause::Md5)?;
                if md5.len() != 32 || !md5.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(Cause::Md5);
                }
                Self::Obj { path, md5, mtime }
            }
            "sym" => {
                let (rest, mtime) = mtime(rest)?;
                let (path, target) = link(rest).filter(|(_, t)| !t.is_empty()).ok_or(Cause::Target)?;
                Self::Sym { path, target, mtime }
            }
            _ => return Err(Cause::Kind),
        };
        if entry.path().starts_with('/') { Ok(entry) } else { Err(Cause::Path) }
    }
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir { path } => write!(f, "dir {path}"),
            Self::Obj { path, md5, mtime } => write!(f, "obj {path} {md5} {mtime}"),
            Self::Sym { path, target, mtime } => write!(f, "sym {path} -> {target} {mtime}"),
            Self::Fif { path } => write!(f, "fif {path}"),
            Self::Dev { path } => write!(f, "dev {path}"),
        }
    }
}

/// Returns the entries of a file; empty lines are left out, and a bad line does not end the list.
pub fn entries(text: &str) -> impl Iterator<Item = Result<Entry<'_>, Error>> {
    let mut next = 0_usize;
    bytes::split(text, '\n')
        .map(move |line| {
            let at = next;
            next = at.saturating_add(line.len()).saturating_add("\n".len());
            (at, line)
        })
        .filter(|(_, line)| !line.is_empty())
        .map(|(at, line)| Entry::parse(line).map_err(|cause| Error { cause, at }))
}

/// Splits at the first arrow, as `str::split_once` does without a way to panic.
fn link(text: &str) -> Option<(&str, &str)> {
    text.char_indices().filter(|(_, c)| *c == ' ').find_map(|(at, _)| {
        let (path, rest) = text.split_at_checked(at)?;
        Some((path, rest.strip_prefix(" -> ")?))
    })
}

fn mtime(text: &str) -> Result<(&str, i64), Cause> {
    let (rest, digits) = bytes::rsplit_once(text, b' ').ok_or(Cause::Mtime)?;
    // Why: `parse` alone takes a plus sign, and what it takes must be what we write.
    let number = digits.parse().ok().filter(|_| !digits.starts_with('+'));
    Ok((rest, number.ok_or(Cause::Mtime)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::diagnostic::Position;
    use std::string::ToString;
    use std::vec::Vec;

    const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

    #[test]
    fn link_is_split_at_the_first_arrow() {
        for text in ["a -> b", "a -> b -> c", "a  -> b", "a->b", " -> ", "a ->", "é -> あ", ""] {
            assert_eq!(link(text), text.split_once(" -> "), "{text:?}");
        }
    }

    #[test]
    fn paths_with_blanks_arrows_and_number_signs_are_kept() {
        let obj = std::format!("obj /a b/c # 1 -> 2 {MD5} 1700000000");
        let wanted = Entry::Obj { path: "/a b/c # 1 -> 2", md5: MD5, mtime: 1_700_000_000 };
        assert_eq!(Entry::parse(&obj), Ok(wanted));
        for (line, entry) in [
            ("dir /usr/lib", Entry::Dir { path: "/usr/lib" }),
            ("dir /", Entry::Dir { path: "/" }),
            ("fif /run/a b", Entry::Fif { path: "/run/a b" }),
            ("dev /dev/null", Entry::Dev { path: "/dev/null" }),
            ("sym /a -> b c -1", Entry::Sym { path: "/a", target: "b c", mtime: -1 }),
            ("sym /a -> b -> c 7", Entry::Sym { path: "/a", target: "b -> c", mtime: 7 }),
        ] {
            assert_eq!(Entry::parse(line), Ok(entry));
            assert_eq!(entry.to_string(), line);
        }
        assert_eq!(wanted.to_string(), obj);
    }

    #[test]
    fn bad_lines_are_refused_and_the_others_are_read() {
        let text = "dir /a\n\nxyz /b\nobj /c\nobj /c 1\nobj /c x 1\nsym /d 1\nsym /d -> 1\ndir e\nfif /f\ndir\n\
                    sym /g ->  +1\n";
        let all: Vec<_> = entries(text).collect();
        let causes: Vec<_> = all
            .iter()
            .filter_map(|e| e.err())
            .map(|e| (Position::of(text.as_bytes(), e.at as u32).line, e.cause))
            .collect();
        let wanted = [
            (3, Cause::Kind),
            (4, Cause::Mtime),
            (5, Cause::Md5),
            (6, Cause::Md5),
            (7, Cause::Target),
            (8, Cause::Target),
            (9, Cause::Path),
            (11, Cause::Kind),
            (12, Cause::Mtime),
        ];
        assert_eq!(causes, wanted);
        assert_eq!(all.iter().flatten().map(Entry::path).collect::<Vec<_>>(), ["/a", "/f"]);
        assert_eq!(all[1].unwrap_err().class(), Class::Unsupported);
    }
}
