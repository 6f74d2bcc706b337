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

use super::{Event, Mode, RawString, Reader, number};
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
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(Found { message: message.to_string(), span: None }))
    }
}

impl From<super::Error> for Error {
    fn from(error: super::Error) -> Self {
        Self(Box::new(Found { message: error.to_string(), span: Some(error.span) }))
    }
}

/// Reads one document as a value of a type.
///
/// # Errors
/// The first syntax error, or the first value that does not fit the type, each with its place.
pub fn from_str<'de, T: de::Deserialize<'de>>(text: &'de str, mode: Mode) -> Result<T, Error> {
    let mut deserializer = Deserializer { reader: Reader::new(text, mode), last: Span::default() };
    let value = T::deserialize(&mut deserializer).map_err(|e| e.at(deserializer.last))?;
    // Why: the reader ends after the document, so one more step looks for what follows it.
    match deserializer.reader.step() {
        Err(error) => Err(error.into()),
        Ok(_) => Ok(value),
    }
}

/// The events of a document, and where the last one stood.
struct Deserializer<'de> {
    reader: Reader<'de>,
    last: Span,
}

impl<'de> Deserializer<'de> {
    #[inline]
    fn next(&mut self) -> Result<(Span, Event<'de>), Error> {
        match self.reader.step()? {
            Some(item) => {
                self.last = item.0;
                Ok(item)
            }
            None => Err(de::Error::custom("the text holds no further value")),
        }
    }

    fn visit<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let (span, event) = self.next()?;
        let value = match event {
            Event::Null => visitor.visit_unit(),
            Event::Bool(b) => visitor.visit_bool(b),
            Event::Number(text) => visit_number(text, visitor),
            Event::String(raw) | Event::Key(raw) => visit_string(raw, visitor),
            Event::BeginArray => {
                let value = visitor.visit_seq(Elements(self)).map_err(|e| e.at(span))?;
                self.end(span, "an array with fewer elements")?;
                Ok(value)
            }
            Event::BeginObject => {
                let value = visitor.visit_map(Members(self)).map_err(|e| e.at(span))?;
                self.end(span, "an object with fewer members")?;
                Ok(value)
            }
            Event::EndArray | Event::EndObject => Err(de::Error::custom("expected a value")),
        };
        value.map_err(|e: Error| e.at(span))
    }

    /// Takes the bracket that closes what began at `span`: a visitor may have stopped before it.
    fn end(&mut self, span: Span, expected: &'static str) -> Result<(), Error> {
        match self.next()? {
            (_, Event::EndArray | Event::EndObject) => Ok(()),
            _ => {
                let error: Error = de::Error::custom(format_args!("expected {expected}"));
                Err(error.at(span))
            }
        }
    }
}

fn visit_string<'de, V: Visitor<'de>>(raw: RawString<'de>, visitor: V) -> Result<V::Value, Error> {
    match raw.as_str() {
        Some(text) => visitor.visit_borrowed_str(text),
        None => visitor.visit_string(decode(raw)?),
    }
}

fn decode(raw: RawString<'_>) -> Result<String, Error> {
    let text: Result<String, u16> = raw.chars().collect();
    text.map_err(|unit| de::Error::custom(format_args!("\\u{unit:04x} is half of a character")))
}

fn visit_number<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, Error> {
    if let Ok(value) = text.parse::<u64>() {
        return visitor.visit_u64(value);
    }
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

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        // No other word begins with this letter, and a wrong one is an error.
        if self.reader.peek()? == Some(b'n') {
            self.next()?;
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
        let (span, event) = self.next()?;
        let value = match event {
            Event::String(raw) => match raw.as_str() {
                Some(name) => visitor.visit_enum(name.into_deserializer()),
                None => decode(raw).and_then(|name| visitor.visit_enum(name.into_deserializer())),
            },
            Event::BeginObject => {
                let value = visitor.visit_enum(Variant(self)).map_err(|e: Error| e.at(span))?;
                self.end(span, "an object with one member")?;
                Ok(value)
            }
            _ => Err(de::Error::custom("expected a string or an object with one member")),
        };
        value.map_err(|e: Error| e.at(span))
    }

    /// Goes past a value without decoding anything of it.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut depth: u8 = 0;
        loop {
            match self.next()?.1 {
                Event::BeginArray | Event::BeginObject => depth = depth.saturating_add(1),
                Event::EndArray | Event::EndObject => depth = depth.saturating_sub(1),
                Event::Key(_) => continue,
                _ => {}
            }
            if depth == 0 {
                return visitor.visit_unit();
            }
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

struct Elements<'d, 'de>(&'d mut Deserializer<'de>);

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.0.reader.peek()? == Some(b']') {
            return Ok(None);
        }
        seed.deserialize(&mut *self.0).map(Some)
    }
}

struct Members<'d, 'de>(&'d mut Deserializer<'de>);

impl<'de> de::MapAccess<'de> for Members<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if self.0.reader.peek()? == Some(b'}') {
            return Ok(None);
        }
        let span = self.0.last;
        seed.deserialize(&mut *self.0).map(Some).map_err(|e| e.at(span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.0)
    }
}

/// The one member of an object that stands for an enum.
struct Variant<'d, 'de>(&'d mut Deserializer<'de>);

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        if self.0.reader.peek()? == Some(b'}') {
            return Err(de::Error::custom("expected an object with one member"));
        }
        let name = seed.deserialize(&mut *self.0)?;
        Ok((name, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        de::Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.visit(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.visit(visitor)
    }
}
