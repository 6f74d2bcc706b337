//! A value that remembers where it stood in the definition, for errors that are found late.

use genpack_core::text::diagnostic::Span;
use serde::Serialize;

/// A value and its place. Two of them are equal when their values are.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stood.
    #[serde(skip)]
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Returns the value with its place.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: PartialEq> PartialEq<T> for Spanned<T> {
    fn eq(&self, other: &T) -> bool {
        self.value == *other
    }
}
