//! Documents into types that implement serde's `Deserialize`, without a tree in between.
//!
//! Strings without escapes are borrowed. Integers must be exact: `5.` and `0x10` are integers, `1e3` and `5.5` are
//! not. Enums are written as serde_json writes them: a string, or an object with one member. Errors of the types
//! themselves (a missing field, a wrong type) carry the place of the value that they are about.
//!
//! Not handled: `i128` and `u128`. Duplicate keys are the type's affair; half of a surrogate pair is an error.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;

use serde::de::{self, DeserializeSeed, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::grammar::Word;
use super::lexer::Lexer;
use super::string::{scan_plain_string, scan_string};
use super::{Expected, Mode, RawString, Reader, number};
use crate::text::diagnostic::Span;

/// Why a document did not become a value; one word long, because every result on the way carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Found>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    message: String,
    span: Option<Span>,
}

impl Error {
    /// Returns why, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns where, in bytes; `None` only before an error has met its value.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.0.span
    }

    fn at(mut self, span: Span) -> Self {
        self.0.span = self.0.span.or(Some(span));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.span {
            Some(span) => write!(f, "{} at byte {}", self.0.message, span.start),
            None => f.write_str(&self.0.message),
        }
    }
}

impl core::error::Error for Error {}

impl de::Error for Error {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(Found { message: message.to_string(), span: None }))
    }
}

impl From<super::Error> for Error {
    #[cold]
    fn from(error: super::Error) -> Self {
        Self(Box::new(Found { message: error.to_string(), span: Some(error.span) }))
    }
}

/// Reads one document as a value of a type.
///
/// # Errors
/// The first syntax error, or the first value that does not fit the type, each with its place.
pub fn from_str<'de, T: de::Deserialize<'de>>(text: &'de str, mode: Mode) -> Result<T, Error> {
    let mut deserializer =
        Deserializer { lexer: Lexer::new(text, mode), depth: 0, expected: Expected::Value };
    deserializer.lexer.check_length(u32::MAX)?;
    deserializer.lexer.skip_blank()?;
    let value = deserializer.placed(|deserializer| T::deserialize(deserializer))?;
    deserializer.lexer.end_of_text()?;
    Ok(value)
}

/// A place in a document, and how many brackets are open there.
struct Deserializer<'de> {
    lexer: Lexer<'de>,
    depth: u8,
    /// What to miss when no value is here.
    expected: Expected,
}

impl<'de> Deserializer<'de> {
    /// Gives an error that has no place yet that of the value which is read.
    #[inline]
    fn placed<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let start = self.lexer.position();
        read(self).map_err(|error| error.at(self.lexer.span_of_value(start)))
    }

    fn any<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.lexer.byte() {
            Some(b'"' | b'\'') => self.string(visitor),
            Some(b'0'..=b'9' | b'+' | b'-' | b'.') => self.number(visitor),
            Some(b'{') => self.object(visitor),
            Some(b'[') => self.array(visitor),
            _ => match self.lexer.word(self.expected)? {
                Word::Null => visitor.visit_unit(),
                Word::Bool(b) => visitor.visit_bool(b),
                Word::Number(text) => visit_number(text, visitor),
            },
        }
    }

    #[inline]
    fn string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match scan_plain_string(&mut self.lexer) {
            Some(text) => visitor.visit_borrowed_str(text),
            None => visit_string(scan_string(&mut self.lexer)?, visitor),
        }
    }

    #[inline]
    fn number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match number::scan_short(&mut self.lexer) {
            Some(value) => visitor.visit_u64(value),
            None => visit_number(number::scan(&mut self.lexer)?, visitor),
        }
    }

    fn array<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.placed(|this| {
            this.open()?;
            let mut items = Items { within: this, next: Next::First };
            let value = visitor.visit_seq(&mut items)?;
            // Why: a visitor that has what it wants does not ask for the end.
            match items.go_on(Lexer::first_element, Lexer::next_element)? {
                true => Err(de::Error::custom("expected an array with fewer elements")),
                false => Ok(value),
            }
        })
    }

    fn object<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.placed(|this| {
            this.open()?;
            let mut items = Items { within: this, next: Next::First };
            let value = visitor.visit_map(&mut items)?;
            match items.go_on(Lexer::first_member, Lexer::next_member)? {
                true => Err(de::Error::custom("expected an object with fewer members")),
                false => Ok(value),
            }
        })
    }

    fn open(&mut self) -> Result<(), Error> {
        self.lexer.open(self.depth)?;
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    #[inline]
    fn colon(&mut self) -> Result<(), Error> {
        self.expected = Expected::Value;
        Ok(self.lexer.colon()?)
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}

/// Why not in line: strings with escapes are few, and a [`RawString`] lives in memory.
#[inline(never)]
fn visit_string<'de, V: Visitor<'de>>(raw: RawString<'de>, visitor: V) -> Result<V::Value, Error> {
    match raw.as_str() {
        Some(text) => visitor.visit_borrowed_str(text),
        None => visitor.visit_string(decode(raw)?),
    }
}

fn decode(raw: RawString<'_>) -> Result<String, Error> {
    match raw.decode() {
        (text, None) => Ok(text.into_owned()),
        (_, Some(unit)) => Err(de::Error::custom(format_args!("\\u{unit:04x} is half of a character"))),
    }
}

fn visit_enum<'de, V: Visitor<'de>>(raw: RawString<'de>, visitor: V) -> Result<V::Value, Error> {
    match raw.as_str() {
        Some(name) => visitor.visit_enum(name.into_deserializer()),
        None => visitor.visit_enum(decode(raw)?.into_deserializer()),
    }
}

fn visit_number<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, Error> {
    // Why: -0 is a number of its own only as a double.
    let whole =
        !text.starts_with('-') || text.bytes().any(|b| matches!(b, b'1'..=b'9' | b'a'..=b'f' | b'A'..=b'F'));
    if whole && let Some(value) = number::to_u64(text) {
        return visitor.visit_u64(value);
    }
    if whole && let Some(value) = number::to_i64(text) {
        return visitor.visit_i64(value);
    }
    match number::to_f64(text) {
        Some(value) => visitor.visit_f64(value),
        None => Err(de::Error::invalid_value(Unexpected::Other("number"), &visitor)),
    }
}

/// Types that know what they want ask for it here: the right first byte leads straight to it, and any other goes the
/// way of values of unknown type, whose visitor then says what is wrong.
macro_rules! deserialize {
    ($($first:pat => $read:ident: $($method:ident($($argument:ty),*))+;)+) => {$($(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $(_: $argument,)* visitor: V) -> Result<V::Value, Error> {
            match self.lexer.byte() {
                Some($first) => self.$read(visitor),
                _ => self.any(visitor),
            }
        }
    )+)+};
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = Error;

    deserialize! {
        b'"' | b'\'' => string: deserialize_str() deserialize_string() deserialize_char() deserialize_identifier();
        b'0'..=b'9' => number: deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64()
            deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64();
        b'[' => array: deserialize_seq() deserialize_tuple(usize) deserialize_tuple_struct(&'static str, usize);
        b'{' => object: deserialize_map() deserialize_struct(&'static str, &'static [&'static str]);
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.any(visitor)
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if !matches!(self.lexer.byte(), Some(b'0'..=b'9' | b'+' | b'-' | b'.')) {
            return self.any(visitor);
        }
        let text = number::scan(&mut self.lexer)?;
        match number::to_f64(text) {
            Some(value) => visitor.visit_f64(value),
            None => visit_number(text, visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        // No other word begins with this letter, and a wrong one is an error.
        if self.lexer.byte() == Some(b'n') {
            self.lexer.word(self.expected)?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.lexer.byte() {
            Some(b'"' | b'\'') => visit_enum(scan_string(&mut self.lexer)?, visitor),
            Some(b'{') => self.placed(|this| {
                this.open()?;
                if !this.lexer.first_member()? {
                    return Err(de::Error::custom("expected an object with one member"));
                }
                let value = visitor.visit_enum(Variant(this))?;
                if this.lexer.next_member()? {
                    return Err(de::Error::custom("expected an object with one member"));
                }
                this.close();
                Ok(value)
            }),
            _ => {
                // Why: what is no value at all is worth its own words.
                Reader::skip_value(&mut self.lexer, self.depth, self.expected)?;
                Err(de::Error::custom("expected a string or an object with one member"))
            }
        }
    }

    /// Goes past a value without decoding anything of it.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        Reader::skip_value(&mut self.lexer, self.depth, self.expected)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { bool bytes byte_buf unit unit_struct }
}

/// What an array or an object is asked for next.
#[derive(Clone, Copy)]
enum Next {
    First,
    Further,
    Closed,
}

/// The elements or the members between two brackets.
struct Items<'d, 'de> {
    within: &'d mut Deserializer<'de>,
    next: Next,
}

type GoOn<'de> = fn(&mut Lexer<'de>) -> Result<bool, super::Error>;

impl<'de> Items<'_, 'de> {
    /// Goes to the next element or key, or past the closing bracket.
    #[inline]
    fn go_on(&mut self, first: GoOn<'de>, further: GoOn<'de>) -> Result<bool, Error> {
        let more = match self.next {
            Next::First => first(&mut self.within.lexer)?,
            Next::Further => further(&mut self.within.lexer)?,
            Next::Closed => return Ok(false),
        };
        self.next = if more { Next::Further } else { Next::Closed };
        if !more {
            self.within.close();
        }
        Ok(more)
    }
}

impl<'de> de::SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if !self.go_on(Lexer::first_element, Lexer::next_element)? {
            return Ok(None);
        }
        self.within.expected = Expected::ValueOrEndOfArray;
        self.within.placed(|within| seed.deserialize(within)).map(Some)
    }
}

impl<'de> de::MapAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let first = matches!(self.next, Next::First);
        if !self.go_on(Lexer::first_member, Lexer::next_member)? {
            return Ok(None);
        }
        self.within.placed(|within| seed.deserialize(Key { lexer: &mut within.lexer, first })).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        self.within.colon()?;
        self.within.placed(|within| seed.deserialize(within))
    }
}

/// A key: a string, or the name of a variant.
struct Key<'d, 'de> {
    lexer: &'d mut Lexer<'de>,
    first: bool,
}

impl<'de> de::Deserializer<'de> for Key<'_, 'de> {
    type Error = Error;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.lexer.plain_key() {
            Some(text) => visitor.visit_borrowed_str(text),
            None => visit_string(self.lexer.key(self.first)?, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visit_enum(self.lexer.key(self.first)?, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.lexer.key(self.first)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

/// The one member of an object that stands for an enum.
struct Variant<'d, 'de>(&'d mut Deserializer<'de>);

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = self.0.placed(|within| seed.deserialize(Key { lexer: &mut within.lexer, first: true }))?;
        self.0.colon()?;
        Ok((name, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.0.placed(|within| de::Deserialize::deserialize(within))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.0.placed(|within| seed.deserialize(within))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.placed(|within| within.any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.placed(|within| within.any(visitor))
    }
}
