//! The kernel command line: words, and what they set.
//!
//! Read as the kernel's `next_arg` and `parameqn` read it (`lib/cmdline.c`, `kernel/params.c`): blanks separate words,
//! a double quote groups them anywhere in a word, quotes around a whole word or a whole value are taken off, and `-`
//! and `_` in a name are the same. Of equal names the last counts. A bare `--` ends the words: what follows belongs to
//! the init. Not handled: escapes (there are none), quotes inside a value, which stay as the kernel leaves them.

/// A word: a name, and a value when it has `=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The name as it is written.
    pub name: &'a str,
    /// What stands behind the first `=`.
    pub value: Option<&'a str>,
}

impl Parameter<'_> {
    /// Tells whether the parameter has this name; `-` and `_` are the same.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        let fold = |b: u8| if b == b'-' { b'_' } else { b };
        self.name.bytes().map(fold).eq(name.bytes().map(fold))
    }

    /// Returns what the parameter means as a switch: off for the values `0`, `no` and `off`, else on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !matches!(self.value, Some("0" | "no" | "off"))
    }
}

/// Returns the parameters in order, up to a bare `--`.
pub fn parameters(cmdline: &str) -> impl Iterator<Item = Parameter<'_>> {
    Words { rest: cmdline }.take_while(|word| *word != "--").map(parameter)
}

/// Returns the last parameter of this name.
#[must_use]
pub fn last<'a>(cmdline: &'a str, name: &str) -> Option<Parameter<'a>> {
    parameters(cmdline).filter(|parameter| parameter.is(name)).last()
}

/// Returns the value of the last parameter of this name, empty for a bare word.
#[must_use]
pub fn value<'a>(cmdline: &'a str, name: &str) -> Option<&'a str> {
    last(cmdline, name).map(|parameter| parameter.value.unwrap_or(""))
}

/// Returns the meaning of the last parameter of this name as a switch, `default` without one.
#[must_use]
pub fn switch(cmdline: &str, name: &str, default: bool) -> bool {
    last(cmdline, name).map_or(default, |parameter| parameter.is_on())
}

struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        // Why: the kernel's isspace; /proc/cmdline ends with a newline.
        let is_blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{B}' | '\u{C}');
        let text = self.rest.trim_start_matches(is_blank);
        if text.is_empty() {
            self.rest = "";
            return None;
        }
        let mut quoted = false;
        let end = text.find(|c: char| {
            quoted ^= c == '"';
            !quoted && is_blank(c)
        });
        let (word, rest) = text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""));
        self.rest = rest;
        Some(word)
    }
}

fn parameter(word: &str) -> Parameter<'_> {
    let word = match word.strip_prefix('"') {
        Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
        None => word,
    };
    match word.split_once('=') {
        None => Parameter { name: word, value: None },
        Some((name, value)) => {
            let value = match value.strip_prefix('"') {
                Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
                None => value,
            };
            Parameter { name, value: Some(value) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn words(cmdline: &str) -> Vec<(&str, Option<&str>)> {
        parameters(cmdline).map(|p| (p.name, p.value)).collect()
    }

    #[test]
    fn blanks_separate_and_quotes_group() {
        for (cmdline, wanted) in [
            ("", &[][..]),
            (" \n", &[]),
            ("quiet ro\n", &[("quiet", None), ("ro", None)]),
            ("root=systemimg:AB-CD  a=", &[("root", Some("systemimg:AB-CD")), ("a", Some(""))]),
            ("a=\"x y\" b", &[("a", Some("x y")), ("b", None)]),
            ("\"a=x y\"\tb", &[("a", Some("x y")), ("b", None)]),
            ("a=x\" \"y=\"z", &[("a", Some("x\" \"y=\"z"))]),
            ("a=\"x y", &[("a", Some("x y"))]),
            ("\"", &[("", None)]),
            ("=x", &[("", Some("x"))]),
            ("a=b=c", &[("a", Some("b=c"))]),
            ("a -- b", &[("a", None)]),
            ("a --b", &[("a", None), ("--b", None)]),
        ] {
            assert_eq!(words(cmdline), wanted, "{cmdline:?}");
        }
    }

    #[test]
    fn last_parameter_counts_and_hyphens_are_underscores() {
        let cmdline = "rd.timeout=3 a-b=1 genpack.transient rd.timeout=9 a_b=2";
        assert_eq!(value(cmdline, "rd.timeout"), Some("9"));
        assert_eq!(value(cmdline, "a-b"), Some("2"));
        assert_eq!(value(cmdline, "genpack.transient"), Some(""));
        assert_eq!(value(cmdline, "rd"), None);
        assert_eq!(last(cmdline, "a_b").map(|p| p.name), Some("a_b"));
    }

    #[test]
    fn switch_is_off_only_for_three_values() {
        for (cmdline, on) in [
            ("", false),
            ("x", true),
            ("x=", true),
            ("x=1", true),
            ("x=false", true),
            ("x=0", false),
            ("x=no", false),
            ("x=off", false),
            ("x=\"off\"", false),
            ("x=off x", true),
            ("x x=0", false),
        ] {
            assert_eq!(switch(cmdline, "x", false), on, "{cmdline:?}");
        }
        assert!(switch("", "x", true));
    }
}
