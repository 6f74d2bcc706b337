//! GRUB's environment block: the variables that `load_env` and `save_env` keep between boots.
//!
//! GRUB manual, "The GRUB environment block", and what `grub-editenv` writes: 1024 bytes, a first line, then
//! `name=value` lines with `\` before a newline or another `\` of the value, `#` up to the end. Lines that begin with
//! `#` are comments. GRUB rewrites the block in place, so its size never changes. Not handled: blocks of other sizes.

use core::fmt;

use crate::error::Class;

/// Bytes of a block; `grub-editenv create` makes no other size.
pub const SIZE: usize = 1024;

/// First line of a block.
pub const SIGNATURE: &str = "# GRUB Environment Block\n";

/// Why a block was not read or not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The block does not begin with [`SIGNATURE`].
    Signature,
    /// A line has no `=`, or no newline ends it.
    Line {
        /// Offset of the line, in bytes.
        at: usize,
    },
    /// A variable's name is empty, begins with `#`, or has `=`, a backslash or a control character.
    Name {
        /// Offset in the name, in bytes.
        at: usize,
    },
    /// The variable does not fit.
    Full {
        /// Bytes that are missing.
        missing: usize,
    },
}

impl Error {
    /// Returns the class.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Signature => Class::BadMagic,
            Self::Line { .. } | Self::Name { .. } => Class::Corrupt,
            Self::Full { .. } => Class::Limit,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => f.write_str("no GRUB environment block begins at byte 0"),
            Self::Line { at } => write!(f, "a broken line at byte {at} of the environment block"),
            Self::Name { at } => write!(f, "no legal name of a GRUB variable at its byte {at}"),
            Self::Full { missing } => write!(f, "the environment block has {missing} bytes too few"),
        }
    }
}

/// A value as it stands in the block; bytes, since GRUB knows no encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

impl<'a> Value<'a> {
    /// Returns the bytes without the backslashes that protect others.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + use<'a> {
        let mut is_escaped = false;
        self.0.iter().copied().filter(move |b| {
            is_escaped = *b == b'\\' && !is_escaped;
            !is_escaped
        })
    }

    /// Tells whether the value is this.
    #[must_use]
    pub fn is(&self, value: &[u8]) -> bool {
        self.bytes().eq(value.iter().copied())
    }
}

/// A variable of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The value.
    pub value: Value<'a>,
}

/// An environment block; having one proves that each of its lines is a comment or a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    bytes: [u8; SIZE],
}

impl Default for Block {
    fn default() -> Self {
        Self::new()
    }
}

impl Block {
    /// Returns a block without variables.
    #[must_use]
    pub fn new() -> Self {
        let mut bytes = [b'#'; SIZE];
        for (to, from) in bytes.iter_mut().zip(SIGNATURE.as_bytes()) {
            *to = *from;
        }
        Self { bytes }
    }

    /// Reads a block.
    ///
    /// # Errors
    /// When the first line is another, or a line is neither a comment nor a variable.
    pub fn parse(bytes: &[u8; SIZE]) -> Result<Self, Error> {
        if !bytes.starts_with(SIGNATURE.as_bytes()) {
            return Err(Error::Signature);
        }
        let block = Self { bytes: *bytes };
        for line in block.lines() {
            let is_comment = line.text.first() == Some(&b'#');
            if !line.is_ended || (!is_comment && line.variable().is_none()) {
                return Err(Error::Line { at: line.at });
            }
        }
        Ok(block)
    }

    /// Returns the block's bytes.
    #[must_use]
    pub fn emit(&self) -> &[u8; SIZE] {
        &self.bytes
    }

    /// Returns the variables in order.
    pub fn variables(&self) -> impl Iterator<Item = Variable<'_>> {
        self.lines().filter_map(|line| line.variable())
    }

    /// Returns the value of a variable; the first of a name counts, as the others of the name cannot be set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        self.variables().find(|v| v.name == name.as_bytes()).map(|v| v.value)
    }

    /// Sets a variable, at its old place or behind the others.
    ///
    /// # Errors
    /// When the name is none or the block is too small; the block then stays as it was.
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        let is_odd = |c: char| c == '=' || c == '\\' || c.is_ascii_control();
        let begins_oddly = (name.is_empty() || name.starts_with('#')).then_some(0);
        if let Some(at) = begins_oddly.or_else(|| name.find(is_odd)) {
            return Err(Error::Name { at });
        }
        let end = self.end();
        let (start, rest) = match self.lines().find(|line| line.is(name)) {
            Some(line) => (line.at, line.at.saturating_add(line.text.len())),
            None => (end, end),
        };
        let line = name.bytes().chain([b'=']).chain(value.iter().copied().flat_map(escaped)).chain([b'\n']);
        let new = [Piece::Old { start: 0, end: start }, Piece::Line(line), Piece::Old { start: rest, end }];
        self.bytes = self.rebuilt(new)?;
        Ok(())
    }

    /// Removes a variable, every line of the name; tells whether there was one.
    pub fn unset(&mut self, name: &str) -> bool {
        let mut found = false;
        // Why: every round takes a line away, so the lines of a block bound the loop.
        while let Some((start, length)) =
            self.lines().find(|line| line.is(name)).map(|line| (line.at, line.text.len()))
        {
            let end = self.end();
            let kept = [
                Piece::Old { start: 0, end: start },
                Piece::Line(core::iter::empty()),
                Piece::Old { start: start.saturating_add(length), end },
            ];
            match self.rebuilt(kept) {
                Ok(bytes) => self.bytes = bytes,
                Err(_) => break,
            }
            found = true;
        }
        found
    }

    /// Returns the offset of the filling: the `#` that stand without a break at the end.
    fn end(&self) -> usize {
        let filling = self.bytes.iter().rev().take_while(|b| **b == b'#').count();
        SIZE.saturating_sub(filling)
    }

    fn rebuilt<I: Iterator<Item = u8>>(&self, pieces: [Piece<I>; 3]) -> Result<[u8; SIZE], Error> {
        let mut bytes = [b'#'; SIZE];
        let mut to = bytes.iter_mut();
        let mut missing = 0_usize;
        let mut put = |b: u8| match to.next() {
            Some(to) => *to = b,
            None => missing = missing.saturating_add(1),
        };
        for piece in pieces {
            match piece {
                Piece::Old { start, end } => {
                    self.bytes.get(start..end).unwrap_or(&[]).iter().for_each(|b| put(*b));
                }
                Piece::Line(line) => line.for_each(&mut put),
            }
        }
        if missing == 0 { Ok(bytes) } else { Err(Error::Full { missing }) }
    }

    fn lines(&self) -> Lines<'_> {
        let end = self.end();
        Lines { rest: self.bytes.get(SIGNATURE.len()..end).unwrap_or(&[]), at: SIGNATURE.len() }
    }
}

enum Piece<I> {
    Old { start: usize, end: usize },
    Line(I),
}

fn escaped(b: u8) -> impl Iterator<Item = u8> {
    let escape = matches!(b, b'\\' | b'\n').then_some(b'\\');
    escape.into_iter().chain([b])
}

/// A line with its newline.
#[derive(Clone, Copy)]
struct Line<'a> {
    text: &'a [u8],
    at: usize,
    is_ended: bool,
}

impl<'a> Line<'a> {
    fn variable(self) -> Option<Variable<'a>> {
        let line = self.text.strip_suffix(b"\n").unwrap_or(self.text);
        if line.first() == Some(&b'#') {
            return None;
        }
        let (name, rest) = line.split_at_checked(line.iter().position(|b| *b == b'=')?)?;
        rest.get(1..).map(|value| Variable { name, value: Value(value) })
    }

    fn is(self, name: &str) -> bool {
        self.variable().is_some_and(|variable| variable.name == name.as_bytes())
    }
}

struct Lines<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let mut is_escaped = false;
        let newline = self.rest.iter().position(|b| {
            let ends = *b == b'\n' && !is_escaped;
            is_escaped = *b == b'\\' && !is_escaped;
            ends
        });
        let length = newline.map_or(self.rest.len(), |at| at.saturating_add(1));
        let (text, rest) = self.rest.split_at_checked(length)?;
        let line = Line { text, at: self.at, is_ended: newline.is_some() };
        (self.rest, self.at) = (rest, self.at.saturating_add(length));
        (!text.is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    fn block(lines: &str) -> [u8; SIZE] {
        let mut bytes = [b'#'; SIZE];
        let text = format!("{SIGNATURE}{lines}");
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes
    }

    fn list(block: &Block) -> Vec<String> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        block
            .variables()
            .map(|v| text([v.name, b"=", &v.value.bytes().collect::<Vec<_>>()].concat()))
            .collect()
    }

    #[test]
    fn empty_block_is_the_signature_and_filling() {
        let empty = Block::new();
        assert_eq!(empty.emit(), &block(""));
        assert_eq!(Block::parse(empty.emit()), Ok(empty));
    }

    #[test]
    fn variables_are_set_replaced_and_removed_in_place() {
        let mut b = Block::parse(&block("# WARNING: do not edit\na=1\nsaved=x\\\\y\\\nz\n")).unwrap();
        assert_eq!(list(&b), ["a=1", "saved=x\\y\nz"]);
        b.set("a", b"long value = \\ \n").unwrap();
        b.set("c", b"").unwrap();
        assert_eq!(
            b.emit(),
            &block("# WARNING: do not edit\na=long value = \\\\ \\\n\nsaved=x\\\\y\\\nz\nc=\n")
        );
        assert!(b.get("a").unwrap().is(b"long value = \\ \n"));
        assert!(b.unset("saved") && !b.unset("saved"));
        assert_eq!(list(&b), ["a=long value = \\ \n", "c="]);
        assert!(b.unset("a") && b.unset("c"));
        assert_eq!(b.emit(), &block("# WARNING: do not edit\n"));
    }

    #[test]
    fn full_block_stays_as_it_was() {
        let mut b = Block::new();
        let room = SIZE - SIGNATURE.len() - "k=\n".len();
        assert_eq!(b.set("k", &std::vec![b'x'; room + 3]), Err(Error::Full { missing: 3 }));
        assert_eq!(b, Block::new());
        b.set("k", &std::vec![b'x'; room]).unwrap();
        assert_eq!(Block::parse(b.emit()).as_ref(), Ok(&b));
        assert_eq!(b.set("j", b""), Err(Error::Full { missing: 3 }));
        b.set("k", b"1").unwrap();
        assert_eq!(b.emit(), &block("k=1\n"));
    }

    #[test]
    fn broken_blocks_and_names_are_refused() {
        for (lines, at) in
            [("a\n", 25), ("a=1\nb", 29), ("a=1\nb=2", 29), ("a=1\\\n", 25), ("\n", 25), ("a=1\n# b", 29)]
        {
            assert_eq!(Block::parse(&block(lines)), Err(Error::Line { at }), "{lines:?}");
        }
        assert_eq!(Block::parse(&[0; SIZE]), Err(Error::Signature));
        for (name, at) in [("", 0), ("#a", 0), ("a=b", 1), ("ab\nc", 2), ("a\\", 1)] {
            assert_eq!(Block::new().set(name, b""), Err(Error::Name { at }), "{name:?}");
        }
        assert_eq!(Error::Full { missing: 1 }.class(), Class::Limit);
    }
}
