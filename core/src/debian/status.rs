//! Control paragraphs: dpkg's database `/var/lib/dpkg/status`, the lists of a repository, a package's control file.
//!
//! Debian Policy 5.1, deb-control(5): `Field: value`, field names in any case, lines that begin with a blank go on
//! with the value, empty lines part paragraphs, lines that begin with `#` are comments. Not handled: the signature
//! around a paragraph, and what a field means; see [`super::relation`] for relations.

use core::fmt;

use crate::bytes;
use crate::error::{self, TextError};

/// What is wrong with a line that is no part of a paragraph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No colon.
    NoColon,
    /// No legal field name before the colon.
    FieldName,
    /// The line goes on with a value, and no field stands before it.
    NoField,
}

impl error::Cause for Cause {}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoColon => "a line without ':'",
            Self::FieldName => "no legal field name",
            Self::NoField => "a line that goes on with no field",
        })
    }
}

/// Why a line is no part of a paragraph; the place is where the line begins.
pub type Error = TextError<Cause>;

/// A field of a paragraph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as it is written; see [`Field::is`].
    pub name: &'a str,
    /// The value with the ends of its lines, without blanks at its ends.
    pub value: &'a str,
    /// Byte offset of the field in the text.
    pub at: usize,
}

impl<'a> Field<'a> {
    /// Tells whether the field has this name, in any case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Returns the first line of the value: of a description, the synopsis.
    #[must_use]
    pub fn first_line(&self) -> &'a str {
        self.lines().next().unwrap_or("")
    }

    /// Returns the lines of the value without blanks at their ends, comments left out.
    pub fn lines(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        bytes::lines(self.value).filter(|line| !line.starts_with('#')).map(str::trim_ascii)
    }
}

/// A paragraph: lines of the text between empty ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paragraph<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Paragraph<'a> {
    /// Returns the fields in order; a line that belongs to no field does not end them.
    pub fn fields(&self) -> Fields<'a> {
        Fields { rest: self.text, at: self.at }
    }

    /// Returns the field of this name, in any case; the first when it comes again.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Field<'a>> {
        self.fields().flatten().find(|field| field.is(name))
    }
}

/// Returns the paragraphs of a text.
pub fn paragraphs(text: &str) -> impl Iterator<Item = Paragraph<'_>> {
    let mut rest = text;
    let mut at = 0_usize;
    core::iter::from_fn(move || {
        loop {
            let first = bytes::lines_inclusive(rest).next()?;
            if !is_empty(first) {
                break;
            }
            (rest, at) = (rest.get(first.len()..)?, at.saturating_add(first.len()));
        }
        let lines = bytes::lines_inclusive(rest).take_while(|line| !is_empty(line));
        let length = lines.fold(0_usize, |sum, line| sum.saturating_add(line.len()));
        let (paragraph, after) = rest.split_at_checked(length)?;
        let paragraph = Paragraph { text: paragraph, at };
        (rest, at) = (after, at.saturating_add(length));
        Some(paragraph)
    })
}

fn is_empty(line: &str) -> bool {
    line.trim_ascii().is_empty()
}

/// The fields of a paragraph.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Fields<'a> {
    /// Takes so many bytes, which end a line; answers where they began, too.
    fn take(&mut self, length: usize) -> (&'a str, usize) {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        let at = self.at;
        (self.rest, self.at) = (rest, at.saturating_add(taken.len()));
        (taken, at)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let comments = bytes::lines_inclusive(self.rest).take_while(|line| line.starts_with('#'));
        let length = comments.fold(0_usize, |sum, line| sum.saturating_add(line.len()));
        self.take(length);
        let mut lines = bytes::lines_inclusive(self.rest);
        let first = lines.next()?;
        if first.starts_with([' ', '\t']) {
            let (_, at) = self.take(first.len());
            return Some(Err(Error { cause: Cause::NoField, at }));
        }
        let more = lines.take_while(|line| line.starts_with([' ', '\t', '#']));
        let length = more.fold(first.len(), |sum, line| sum.saturating_add(line.len()));
        let (text, at) = self.take(length);
        // Why: the colon of a broken line must not be looked for in the lines that go on with it.
        if !first.contains(':') {
            return Some(Err(Error { cause: Cause::NoColon, at }));
        }
        let (name, value) = text.split_once(':')?;
        let is_legal =
            name.bytes().all(|b| b.is_ascii_graphic()) && !name.is_empty() && !name.starts_with('-');
        if !is_legal {
            return Some(Err(Error { cause: Cause::FieldName, at }));
        }
        Some(Ok(Field { name, value: value.trim_ascii(), at }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const STATUS: &str = "\nPackage: a\nStatus: install ok installed\nDepends: b (>= 1),\n# comment\n\tc | d\n\
        Description: short\n long\n .\n end\r\n \t \n\n\nPACKAGE:b\nEmpty:\n";

    #[test]
    fn paragraphs_have_fields_with_all_their_lines() {
        let all: Vec<_> = paragraphs(STATUS).collect();
        assert_eq!(all.len(), 2);
        let names: Vec<_> = all[0].fields().map(|field| field.unwrap().name).collect();
        assert_eq!(names, ["Package", "Status", "Depends", "Description"]);
        let depends = all[0].get("depends").unwrap();
        assert_eq!(depends.lines().collect::<Vec<_>>(), ["b (>= 1),", "c | d"]);
        assert_eq!(all[0].get("Description").unwrap().first_line(), "short");
        let b = all[1].get("Package").unwrap();
        assert_eq!((b.value, &STATUS[b.at..b.at + 9]), ("b", "PACKAGE:b"));
        assert_eq!(all[1].get("Empty").map(|field| field.value), Some(""));
        assert_eq!(paragraphs("\n \n").count(), 0);
    }

    #[test]
    fn lines_of_no_field_are_found_and_the_others_are_read() {
        let text = " x\nno colon\n a: b\nA: 1\n:c\n-d: e\nf g: h\nB: 2";
        let all: Vec<_> = paragraphs(text).flat_map(|p| p.fields()).collect();
        let field = |name, value, at| Ok(Field { name, value, at });
        let wanted = [
            Err(Error { cause: Cause::NoField, at: 0 }),
            Err(Error { cause: Cause::NoColon, at: 3 }),
            field("A", "1", 18),
            Err(Error { cause: Cause::FieldName, at: 23 }),
            Err(Error { cause: Cause::FieldName, at: 26 }),
            Err(Error { cause: Cause::FieldName, at: 32 }),
            field("B", "2", 39),
        ];
        assert_eq!(all, wanted);
    }
}
