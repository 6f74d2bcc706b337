//! Patterns for paths of a tree, for `--exclude`.
//!
//! `*` is any number of characters and `?` is one, `[a-z]` one of a set and `[!a-z]` one that is not in it; none of
//! them is a `/`. `**` between slashes is any number of directories, also none; at the end of
//! the pattern it is all that is in a directory. `\` takes the meaning from the next
//! character. With `/` at the begin or in the middle the pattern is a path from the root of the tree, else a name
//! in any directory; with `/` at the end it fits directories only. A character is one of UTF-8; a byte that is not
//! UTF-8 counts as a character that only `*`, `?` and `[!…]` fit.
//!
//! Matching takes no more than the product of the lengths: of two stars only the last one is ever moved.

use std::fmt;

/// Longest pattern, bytes: the longest path that a system call takes (PATH_MAX of linux/limits.h).
pub const MAX_PATTERN: usize = 4096;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    components: Vec<Component>,
    directories_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Component {
    /// `**`
    Directories,
    /// A name without anything special.
    Literal(Vec<u8>),
    /// A name with something special.
    Tokens(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    Any,
    /// `*`
    Star,
    /// `[…]`: inclusive ranges.
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Why a text is no pattern; offsets are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobError {
    /// Nothing but slashes.
    Empty,
    /// More than [`MAX_PATTERN`] bytes.
    TooLong {
        /// How many.
        length: usize,
    },
    /// A component that is `.` or `..`: no path of a tree has one.
    Dots {
        /// Where it begins.
        offset: usize,
    },
    /// `[` without `]`.
    UnclosedSet {
        /// Where it stands.
        offset: usize,
    },
    /// A range whose end is before its begin.
    ReversedRange {
        /// Where it begins.
        offset: usize,
    },
    /// `\` with nothing after it.
    TrailingBackslash {
        /// Where it stands.
        offset: usize,
    },
}

impl fmt::Display for GlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it names nothing"),
            Self::TooLong { length } => write!(f, "{length} bytes are more than {MAX_PATTERN}"),
            Self::Dots { offset } => write!(f, "\".\" or \"..\" at byte {offset}: paths begin at the folder"),
            Self::UnclosedSet { offset } => write!(f, "[ at byte {offset} has no ]"),
            Self::ReversedRange { offset } => write!(f, "the range at byte {offset} ends before it begins"),
            Self::TrailingBackslash { offset } => write!(f, "nothing follows the \\ at byte {offset}"),
        }
    }
}

impl std::error::Error for GlobError {}

impl Glob {
    /// Parses a pattern.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        if text.len() > MAX_PATTERN {
            return Err(GlobError::TooLong { length: text.len() });
        }
        let mut components = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let (component, length) = component(text.get(at..).unwrap_or(""), at)?;
            if let Some(component) = component
                // Two in a row say nothing more than one.
                && !(component == Component::Directories && components.last() == Some(&component))
            {
                components.push(component);
            }
            at = at.saturating_add(length).saturating_add(1);
        }
        match components.last() {
            None => return Err(GlobError::Empty),
            // What is in a directory, not the directory itself.
            Some(Component::Directories) => components.push(Component::Tokens(vec![Token::Star])),
            Some(_) => {}
        }
        if !text.trim_end_matches('/').contains('/') {
            components.insert(0, Component::Directories);
        }
        Ok(Self { components, directories_only: text.ends_with('/') })
    }

    /// Tells whether a path of a tree, without `/` at its begin, is meant.
    #[must_use]
    pub fn matches(&self, path: &[u8], is_directory: bool) -> bool {
        if path.is_empty() || (self.directories_only && !is_directory) {
            return false;
        }
        // Why: most patterns have one beginning that most paths do not have; no list is made for those.
        if let Some(Component::Literal(first)) = self.components.first()
            && path.split(|b| *b == b'/').next() != Some(first)
        {
            return false;
        }
        let names: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
        fits(
            &self.components,
            &names,
            |component| *component == Component::Directories,
            |component, name| match component {
                Component::Directories => true,
                Component::Literal(literal) => literal == name,
                Component::Tokens(tokens) => {
                    let characters = characters(name);
                    fits(tokens, &characters, |t| *t == Token::Star, |t, c| t.fits(*c))
                }
            },
        )
    }
}

impl Token {
    /// Tells whether it fits one character; `None` is a byte that is not UTF-8.
    fn fits(&self, character: Option<char>) -> bool {
        match self {
            Self::Char(c) => character == Some(*c),
            Self::Any | Self::Star => true,
            Self::Set { negated, ranges } => {
                character.is_some_and(|c| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)))
                    != *negated
            }
        }
    }
}

/// Matches a list with stars: what stands before the last star seen is settled, only that one is tried longer.
fn fits<P, X>(pattern: &[P], text: &[X], is_star: impl Fn(&P) -> bool, one: impl Fn(&P, &X) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(element) = text.get(t) {
        match pattern.get(p) {
            Some(star) if is_star(star) => {
                retry = Some((p, t));
                p += 1;
            }
            Some(single) if one(single, element) => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, taken)) => {
                    retry = Some((star, taken + 1));
                    p = star + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(is_star)
}

/// Returns the characters of a name; `None` for each byte that is not UTF-8.
fn characters(name: &[u8]) -> Vec<Option<char>> {
    name.utf8_chunks()
        .flat_map(|chunk| chunk.valid().chars().map(Some).chain(chunk.invalid().iter().map(|_| None)))
        .collect()
}

/// Parses one component, and returns its length; nothing for an empty one.
fn component(text: &str, start: usize) -> Result<(Option<Component>, usize), GlobError> {
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    let mut length = text.len();
    while let Some((at, c)) = chars.next() {
        let offset = start.saturating_add(at);
        match c {
            '/' => {
                length = at;
                break;
            }
            '*' => tokens.push(Token::Star),
            '?' => tokens.push(Token::Any),
            '\\' => match chars.next_if(|(_, c)| *c != '/') {
                Some((_, c)) => tokens.push(Token::Char(c)),
                None => return Err(GlobError::TrailingBackslash { offset }),
            },
            '[' => tokens.push(set(&mut chars, start, offset)?),
            c => tokens.push(Token::Char(c)),
        }
    }
    let component = match text.get(..length).unwrap_or("") {
        "" => None,
        "." | ".." => return Err(GlobError::Dots { offset: start }),
        "**" => Some(Component::Directories),
        _ => Some(literal(&tokens).map_or(Component::Tokens(tokens), Component::Literal)),
    };
    Ok((component, length))
}

fn literal(tokens: &[Token]) -> Option<Vec<u8>> {
    let text: Option<String> =
        tokens.iter().map(|t| if let Token::Char(c) = t { Some(*c) } else { None }).collect();
    text.map(String::into_bytes)
}

/// Parses the rest of a set; a `]` at its begin and a `-` at its end are themselves, as in fnmatch(3).
fn set(
    chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    start: usize,
    open: usize,
) -> Result<Token, GlobError> {
    let unclosed = GlobError::UnclosedSet { offset: open };
    let negated = chars.next_if(|(_, c)| matches!(c, '!' | '^')).is_some();
    let mut ranges: Vec<(char, char)> = Vec::new();
    loop {
        let (at, c) = chars.next().ok_or(unclosed)?;
        let from = match c {
            ']' if !ranges.is_empty() => return Ok(Token::Set { negated, ranges }),
            '/' => return Err(unclosed),
            '\\' => chars.next().ok_or(unclosed)?.1,
            c => c,
        };
        let mut ahead = chars.clone();
        let range = ahead.next().is_some_and(|(_, c)| c == '-')
            && ahead.next().is_some_and(|(_, c)| c != ']' && c != '/');
        let mut to = from;
        if range {
            chars.next();
            to = match chars.next().ok_or(unclosed)?.1 {
                '\\' => chars.next().ok_or(unclosed)?.1,
                c => c,
            };
            if to < from {
                return Err(GlobError::ReversedRange { offset: start.saturating_add(at) });
            }
        }
        ranges.push((from, to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glob_fits_what_its_rules_say() {
        for (pattern, path, fits) in [
            ("*.log", "x.log", true),
            ("*.log", "var/log/x.log", true),
            ("*.log", "x.logs", false),
            ("/*.log", "x.log", true),
            ("/*.log", "var/x.log", false),
            ("var/*.log", "var/x.log", true),
            ("var/*.log", "srv/var/x.log", false),
            ("var/*.log", "var/log/x.log", false),
            ("var/**/*.log", "var/x.log", true),
            ("var/**/*.log", "var/a/b/x.log", true),
            ("**/cache", "cache", true),
            ("**/cache", "a/b/cache", true),
            ("**/cache", "a/b/cache/x", false),
            ("cache/**", "cache/x/y", true),
            ("cache/**", "cache", false),
            ("a/**/b/**/c", "a/x/b/y/b/c", true),
            ("a/**/b/**/c", "a/x/y/c", false),
            ("**/**", "x", true),
            ("**/**/a", "x/a", true),
            ("a**c", "abbc", true),
            ("a**c", "ab/c", false),
            ("*a*b*c*", "xxaxxbxxcxx", true),
            ("*a*b*c*", "xxaxxcxxbxx", false),
            ("?", "ä", true),
            ("?", "ab", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[]-]", "]", true),
            ("[]-]", "-", true),
            ("[a-]", "-", true),
            ("[a-]", "b", false),
            ("[\\]]", "]", true),
            ("[ä-ö]", "ü", false),
            ("[ä-ü]", "ö", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("\\[a]", "[a]", true),
            (".*", ".hidden", true),
            ("*", ".hidden", true),
            ("a//b", "a/b", true),
        ] {
            assert_eq!(
                Glob::parse(pattern).unwrap().matches(path.as_bytes(), false),
                fits,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn glob_with_a_slash_at_the_end_fits_directories_only() {
        let glob = Glob::parse("tmp/").unwrap();
        assert!(glob.matches(b"a/tmp", true) && !glob.matches(b"a/tmp", false));
        let glob = Glob::parse("/a/b/").unwrap();
        assert!(glob.matches(b"a/b", true) && !glob.matches(b"x/a/b", true));
    }

    #[test]
    fn bytes_that_are_no_characters_fit_wild_cards_only() {
        let fits = |pattern: &str| Glob::parse(pattern).unwrap().matches(b"a\xff", false);
        assert!(
            fits("a?") && fits("*") && fits("a[!b]") && !fits("a\u{FFFD}") && !fits("a[\u{0}-\u{10FFFF}]")
        );
    }

    #[test]
    fn glob_that_is_none_tells_where() {
        for (pattern, error) in [
            ("", GlobError::Empty),
            ("///", GlobError::Empty),
            ("a/./b", GlobError::Dots { offset: 2 }),
            ("../b", GlobError::Dots { offset: 0 }),
            ("ab[c", GlobError::UnclosedSet { offset: 2 }),
            ("[]", GlobError::UnclosedSet { offset: 0 }),
            ("[a/b]", GlobError::UnclosedSet { offset: 0 }),
            ("[a-", GlobError::UnclosedSet { offset: 0 }),
            ("x/[z-a]", GlobError::ReversedRange { offset: 3 }),
            ("a\\", GlobError::TrailingBackslash { offset: 1 }),
            ("a\\/b", GlobError::TrailingBackslash { offset: 1 }),
        ] {
            assert_eq!(Glob::parse(pattern), Err(error), "{pattern}");
        }
        let long = "a".repeat(MAX_PATTERN + 1);
        assert_eq!(Glob::parse(&long), Err(GlobError::TooLong { length: MAX_PATTERN + 1 }));
    }

    #[test]
    fn many_stars_on_a_long_path_end_soon() {
        let glob = Glob::parse(&format!("{}b", "**/*a*".repeat(200))).unwrap();
        assert!(!glob.matches("a/".repeat(2000).trim_end_matches('/').as_bytes(), false));
    }

    #[test]
    fn any_text_parses_or_tells_why_and_never_fits_the_root() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let letters = ["*", "?", "[", "]", "!", "-", "\\", "/", "a", "ä", "**", "."];
                text.push_str(letters[usize::try_from(state >> 33).unwrap() % letters.len()]);
            }
            if let Ok(glob) = Glob::parse(&text) {
                let _ = glob.matches(text.as_bytes(), true);
                assert!(!glob.matches(b"", true), "{text}");
            }
        }
    }
}
