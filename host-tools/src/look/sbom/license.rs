//! What distributions call licences, as SPDX license expressions (SPDX 2.3, annex D).
//!
//! Gentoo's LICENSE is a dependency string of file names in `licenses/`; Debian's short names are those of the
//! machine-readable copyright format. A name that SPDX has none for becomes a `LicenseRef-`. Not handled: licences
//! told by their texts.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use genpack_core::gentoo::depend::{Group, Reader, Token};

/// Most parts of an expression; Boost's copyright file has a hundred.
const MAX_PARTS: usize = 1024;

/// A license expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expression {
    /// A licence on SPDX's list, or one with an exception of that list.
    Listed(String),
    /// Another one, by the distribution's name.
    Named(String),
    /// All of them.
    All(Vec<Expression>),
    /// One of them.
    Any(Vec<Expression>),
}

impl Expression {
    /// Returns the reference by which a licence that is not on SPDX's list goes.
    #[must_use]
    pub fn reference(name: &str) -> String {
        let legal = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let name = name.replace('+', "-or-later");
        format!("LicenseRef-{}", name.chars().map(legal).collect::<String>())
    }

    /// Adds the licences that are not on SPDX's list: name by reference.
    pub fn add_named(&self, names: &mut BTreeMap<String, String>) {
        match self {
            Self::Listed(_) => {}
            Self::Named(name) => drop(names.entry(Self::reference(name)).or_insert_with(|| name.clone())),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.add_named(names)),
        }
    }

    fn joined(parts: Vec<Self>, all: bool) -> Option<Self> {
        // Why a set: an image may name a million.
        let (mut flat, mut seen) = (Vec::new(), HashSet::new());
        for part in parts {
            let inner = match part {
                Self::All(inner) if all => inner,
                Self::Any(inner) if !all => inner,
                other => vec![other],
            };
            for part in inner {
                if seen.insert(part.clone()) {
                    flat.push(part);
                }
            }
        }
        if flat.len() < 2 {
            return flat.pop();
        }
        Some(if all { Self::All(flat) } else { Self::Any(flat) })
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, word) = match self {
            Self::Listed(id) => return f.write_str(id),
            Self::Named(name) => return f.write_str(&Self::reference(name)),
            Self::All(parts) => (parts, " AND "),
            Self::Any(parts) => (parts, " OR "),
        };
        for (at, part) in parts.iter().enumerate() {
            f.write_str(if at > 0 { word } else { "" })?;
            match part {
                Self::All(_) | Self::Any(_) => write!(f, "({part})")?,
                Self::Listed(_) | Self::Named(_) => write!(f, "{part}")?,
            }
        }
        Ok(())
    }
}

/// Reads Gentoo's LICENSE; what depends on a USE flag counts as the flags are.
#[must_use]
pub fn gentoo(text: &str, use_flags: &str) -> Option<Expression> {
    // Whether all of its parts count, whether it counts itself, and the parts.
    type OpenGroup = (bool, bool, Vec<Expression>);
    fn close(open: &mut Vec<OpenGroup>) {
        let Some((all, counts, parts)) = open.pop() else { return };
        let part = Expression::joined(parts, all).filter(|_| counts);
        if let (Some((.., parts)), Some(part)) = (open.last_mut(), part) {
            parts.push(part);
        }
    }
    let is_on = |flag: &str| use_flags.split_whitespace().any(|word| word == flag);
    let mut open: Vec<OpenGroup> = vec![(true, true, Vec::new())];
    let mut count = 0_usize;
    for item in Reader::new(text).map_while(Result::ok) {
        match item.token {
            Token::Begin(group) => {
                let counts = !matches!(group, Group::IfUse { flag, enabled } if is_on(flag) != enabled);
                open.push((!matches!(group, Group::AnyOf), counts, Vec::new()));
            }
            Token::End => close(&mut open),
            Token::Leaf(name) => {
                count += 1;
                if let (Some((.., parts)), true) = (open.last_mut(), count <= MAX_PARTS) {
                    parts.push(named(name, GENTOO));
                }
            }
        }
    }
    // Groups that never end are a damaged text: what stands in them still counts.
    while open.len() > 1 {
        close(&mut open);
    }
    open.pop().and_then(|(all, _, parts)| Expression::joined(parts, all))
}

/// Reads Debian's license synopsis: `and` binds stronger than `or`, and a comma before either weaker than both.
#[must_use]
pub fn debian(text: &str) -> Option<Expression> {
    let mut whole: Vec<Vec<Expression>> = vec![Vec::new()];
    for part in text.split(',').take(MAX_PARTS) {
        let words: Vec<&str> = part.split_whitespace().collect();
        let (connects_by_or, words) = match words.split_first() {
            Some((first, rest)) if is(first, "or") => (true, rest),
            Some((first, rest)) if is(first, "and") => (false, rest),
            _ => (false, words.as_slice()),
        };
        let any = words.split(|word| is(word, "or")).filter_map(|alternative| {
            let all = alternative.split(|word| is(word, "and")).filter(|words| !words.is_empty());
            Expression::joined(all.map(one_of_debian).collect(), true)
        });
        let Some(part) = Expression::joined(any.collect(), false) else { continue };
        match whole.last_mut() {
            Some(all) if !connects_by_or => all.push(part),
            _ => whole.push(vec![part]),
        }
    }
    let any = whole.into_iter().filter_map(|all| Expression::joined(all, true)).collect();
    Expression::joined(any, false)
}

fn is(word: &str, other: &str) -> bool {
    word.eq_ignore_ascii_case(other)
}

/// Reads `GPL-2+`, or `GPL-2+ with Autoconf exception`.
fn one_of_debian(words: &[&str]) -> Expression {
    let (license, exception) = match words.iter().position(|word| is(word, "with")) {
        Some(at) => (words.get(..at).unwrap_or_default(), words.get(at + 1..).unwrap_or_default()),
        None => (words, &[][..]),
    };
    let license = named(&license.join(" "), DEBIAN);
    if exception.is_empty() {
        return license;
    }
    let named = exception.join(" ");
    let known = EXCEPTIONS.iter().find(|(name, _)| named.eq_ignore_ascii_case(name));
    match (license, known) {
        (Expression::Listed(id), Some((_, exception))) => {
            Expression::Listed(format!("{id} WITH {exception}"))
        }
        _ => Expression::Named(words.join(" ")),
    }
}

/// Returns the licence of that name, `aliases` being the distribution's own names.
fn named(name: &str, aliases: &[(&str, &str)]) -> Expression {
    let alias = aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)).map(|(_, id)| *id);
    let listed = || LISTED.iter().find(|id| id.eq_ignore_ascii_case(name)).copied();
    match alias.or_else(listed).map(str::to_owned).or_else(|| gnu(name)) {
        Some(id) => Expression::Listed(id),
        None => Expression::Named(name.to_owned()),
    }
}

/// Returns SPDX's name of a licence of GNU's families: `GPL-2+`, `LGPLv2.1+`, `FDL-1.3`, `AGPL-3.0-or-later`.
fn gnu(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    let families: [(&str, &str, &[&str]); 5] = [
        ("AGPL", "AGPL", &["1.0", "3.0"]),
        ("LGPL", "LGPL", &["2.0", "2.1", "3.0"]),
        ("GPL", "GPL", &["1.0", "2.0", "3.0"]),
        ("GFDL", "GFDL", &["1.1", "1.2", "1.3"]),
        ("FDL", "GFDL", &["1.1", "1.2", "1.3"]),
    ];
    let (family, versions, rest) = families
        .iter()
        .find_map(|(word, family, versions)| Some((*family, *versions, upper.strip_prefix(word)?)))?;
    let (invariants, rest) = match rest.strip_prefix("-NIV") {
        Some(rest) if family == "GFDL" => ("-no-invariants", rest),
        _ => ("", rest),
    };
    let rest = rest.strip_prefix('-').unwrap_or(rest);
    let rest = rest.strip_prefix('V').unwrap_or(rest);
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (version, which) = rest.split_at_checked(end)?;
    let which = match which {
        "" | "-ONLY" => "only",
        "+" | "-OR-LATER" => "or-later",
        _ => return None,
    };
    let version = if version.contains('.') { version.to_owned() } else { format!("{version}.0") };
    versions.contains(&version.as_str()).then(|| format!("{family}-{version}{invariants}-{which}"))
}

/// Licences that distributions call as SPDX does, in any case.
const LISTED: &[&str] = &[
    "0BSD",
    "AFL-2.1",
    "AFL-3.0",
    "Apache-1.0",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-2-Clause-Patent",
    "BSD-3-Clause",
    "BSD-4-Clause",
    "BSD-4-Clause-UC",
    "BSD-Source-Code",
    "BSL-1.0",
    "Beerware",
    "CC-BY-2.5",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-2.5",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDDL-1.0",
    "CPL-1.0",
    "EPL-1.0",
    "EPL-2.0",
    "EUPL-1.2",
    "FSFAP",
    "FSFUL",
    "FSFULLR",
    "FTL",
    "HPND",
    "ICU",
    "IJG",
    "IPL-1.0",
    "ISC",
    "Info-ZIP",
    "LPPL-1.3c",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-1.0",
    "MPL-1.1",
    "MPL-2.0",
    "MS-PL",
    "NCSA",
    "NTP",
    "Noweb",
    "OFL-1.0",
    "OFL-1.1",
    "OLDAP-2.8",
    "OpenSSL",
    "PHP-3.01",
    "PSF-2.0",
    "PostgreSQL",
    "Python-2.0",
    "QPL-1.0",
    "RSA-MD",
    "Ruby",
    "SGI-B-2.0",
    "SISSL",
    "SMLNJ",
    "Sleepycat",
    "TCL",
    "TCP-wrappers",
    "UPL-1.0",
    "Unicode-DFS-2015",
    "Unicode-DFS-2016",
    "Unlicense",
    "Vim",
    "W3C",
    "WTFPL",
    "X11",
    "Xnet",
    "ZPL-2.0",
    "ZPL-2.1",
    "Zend-2.0",
    "Zlib",
    "bzip2-1.0.6",
    "curl",
    "libpng-2.0",
    "libtiff",
    "mpich2",
    "blessing",
];

/// What Debian calls otherwise. `MIT` is taken for the Expat text, which nearly all who write it mean.
const DEBIAN: &[(&str, &str)] = &[
    ("Expat", "MIT"),
    ("MIT/X11", "MIT"),
    ("Apache-2", "Apache-2.0"),
    ("Artistic", "Artistic-1.0-Perl"),
    ("Artistic-1", "Artistic-1.0-Perl"),
    ("BSD-2", "BSD-2-Clause"),
    ("BSD-3", "BSD-3-Clause"),
    ("BSD-4", "BSD-4-Clause"),
    ("BSD-2-Clause-netbsd", "BSD-2-Clause"),
    ("BSL-1", "BSL-1.0"),
    ("CC0", "CC0-1.0"),
    ("MPL-2", "MPL-2.0"),
    ("OpenLDAP-2.8", "OLDAP-2.8"),
    ("PSF-2", "PSF-2.0"),
    ("LIBTIFF", "libtiff"),
    ("libpng", "Libpng"),
    ("zlib/libpng", "Zlib"),
    ("Apache-2.0-with-LLVM-exceptions", "Apache-2.0 WITH LLVM-exception"),
    ("APACHE-2-LLVM-EXCEPTIONS", "Apache-2.0 WITH LLVM-exception"),
];

/// What Gentoo calls otherwise: names of files in its `licenses/`.
const GENTOO: &[(&str, &str)] = &[
    ("BSD", "BSD-3-Clause"),
    ("BSD-1", "BSD-1-Clause"),
    ("BSD-2", "BSD-2-Clause"),
    ("BSD-4", "BSD-4-Clause"),
    ("Artistic", "Artistic-1.0-Perl"),
    ("Artistic-2", "Artistic-2.0"),
    ("Boost-1.0", "BSL-1.0"),
    ("CC-PD", "CC-PDDC"),
    ("Clarified-Artistic", "ClArtistic"),
    ("PSF-2", "PSF-2.0"),
    ("PYTHON", "Python-2.0"),
    ("UoI-NCSA", "NCSA"),
    ("Unicode-DFS", "Unicode-DFS-2016"),
    ("ZPL", "ZPL-2.1"),
    ("bzip2", "bzip2-1.0.6"),
    ("gcc-runtime-library-exception-3.1", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    ("libpng", "Libpng"),
    ("libpng2", "libpng-2.0"),
    ("tcltk", "TCL"),
    ("Apache-2.0-with-LLVM-exceptions", "Apache-2.0 WITH LLVM-exception"),
    ("GPL-2-with-classpath-exception", "GPL-2.0-only WITH Classpath-exception-2.0"),
    ("GPL-2+-with-classpath-exception", "GPL-2.0-or-later WITH Classpath-exception-2.0"),
    ("GPL-2-with-font-exception", "GPL-2.0-only WITH Font-exception-2.0"),
];

/// Exceptions as Debian names them behind `with`.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("Autoconf exception", "Autoconf-exception-2.0"),
    ("Bison exception", "Bison-exception-2.2"),
    ("Classpath exception", "Classpath-exception-2.0"),
    ("Font exception", "Font-exception-2.0"),
    ("GCC exception", "GCC-exception-3.1"),
    ("GCC Runtime Library exception", "GCC-exception-3.1"),
    ("Libtool exception", "Libtool-exception"),
    ("Linux-syscall-note exception", "Linux-syscall-note"),
    ("LLVM exception", "LLVM-exception"),
    ("LLVM-exception", "LLVM-exception"),
    ("OpenVPN OpenSSL exception", "openvpn-openssl-exception"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gnu_licences_have_a_version_and_say_whether_later_ones_count() {
        for (name, id) in [
            ("GPL-2", Some("GPL-2.0-only")),
            ("GPL-2+", Some("GPL-2.0-or-later")),
            ("GPLv3+", Some("GPL-3.0-or-later")),
            ("LGPL-2.1", Some("LGPL-2.1-only")),
            ("AGPL-3.0-or-later", Some("AGPL-3.0-or-later")),
            ("FDL-1.3+", Some("GFDL-1.3-or-later")),
            ("GFDL-NIV-1.3+", Some("GFDL-1.3-no-invariants-or-later")),
            ("GPL", None),
            ("GPL-4", None),
            ("GPL-2-with-exceptions", None),
            ("GPL-2é", None),
        ] {
            assert_eq!(gnu(name).as_deref(), id, "{name}");
        }
    }

    #[test]
    fn gentoo_licences_are_groups_and_follow_the_use_flags() {
        for (text, flags, expected) in [
            ("GPL-2", "", "GPL-2.0-only"),
            ("GPL-2+ BSD doc? ( FDL-1.3 )", "", "GPL-2.0-or-later AND BSD-3-Clause"),
            ("GPL-2+ doc? ( FDL-1.3 )", "x doc", "GPL-2.0-or-later AND GFDL-1.3-only"),
            ("|| ( Artistic GPL-1+ ) MIT", "", "(Artistic-1.0-Perl OR GPL-1.0-or-later) AND MIT"),
            ("|| ( MIT ( ISC ZLIB ) )", "", "MIT OR (ISC AND Zlib)"),
            (
                "linux-fw-redistributable no-source-code",
                "",
                "LicenseRef-linux-fw-redistributable AND LicenseRef-no-source-code",
            ),
            ("MIT MIT ( MIT )", "", "MIT"),
            ("|| ( GPL-2 MIT", "", "GPL-2.0-only OR MIT"),
        ] {
            assert_eq!(gentoo(text, flags).map(|e| e.to_string()).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(gentoo("", ""), None);
        assert_eq!(gentoo("doc? ( FDL-1.3 )", ""), None);
    }

    #[test]
    fn debian_licences_follow_the_words_between_them() {
        for (text, expected) in [
            ("Expat", "MIT"),
            ("GPL-1+ or Artistic", "GPL-1.0-or-later OR Artistic-1.0-Perl"),
            (
                "GPL-2+, and BSD-3-clause or LGPL-3+",
                "GPL-2.0-or-later AND (BSD-3-Clause OR LGPL-3.0-or-later)",
            ),
            ("A and ISC or MIT", "(LicenseRef-A AND ISC) OR MIT"),
            ("GPL-2 with Linux-syscall-note exception", "GPL-2.0-only WITH Linux-syscall-note"),
            ("GPL-2 with strange exception", "LicenseRef-GPL-2-with-strange-exception"),
            ("public-domain, or ISC", "LicenseRef-public-domain OR ISC"),
            ("and, or ,MIT", "MIT"),
        ] {
            assert_eq!(debian(text).map(|e| e.to_string()).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(debian(" , or"), None);
    }

    #[test]
    fn names_outside_of_the_list_are_told_once() {
        let mut names = BTreeMap::new();
        for text in ["a_b and MIT", "a_b or c+ with d"] {
            debian(text).unwrap().add_named(&mut names);
        }
        let expected = [("LicenseRef-a-b", "a_b"), ("LicenseRef-c-or-later-with-d", "c+ with d")];
        assert_eq!(names, expected.map(|(id, name)| (id.to_owned(), name.to_owned())).into());
    }
}
