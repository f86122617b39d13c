//! The context attributes of CloudEvents that the model has no field of its own for.

use std::collections::BTreeMap;
use std::fmt;

/// The value of an extension attribute, in the type system of CloudEvents.
///
/// Its other types (binary, URI, URI-reference, timestamp) are text on every wire and text here.
/// Where a wire has only text, as stream fields and message attributes, numbers and truth values arrive as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number of 32 bits.
    Integer(i32),
    /// Text without control characters.
    Text(String),
}

impl fmt::Display for AttributeValue {
    /// The canonical text of the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(truth) => truth.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<bool> for AttributeValue {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl From<i32> for AttributeValue {
    fn from(number: i32) -> Self {
        Self::Integer(number)
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// What an event may have besides; most have none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) subject: Option<Box<str>>,
    pub(crate) data_schema: Option<Box<str>>,
    /// `None` where it is the one the payload implies.
    pub(crate) data_content_type: Option<Box<str>>,
    pub(crate) extensions: BTreeMap<Box<str>, AttributeValue>,
}

impl Attributes {
    /// On the heap, or nothing where nothing is set.
    pub(crate) fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}
