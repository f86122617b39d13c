//! What is wrong with a setting, and how it is said.

use std::fmt;

use serde::de::{self, Unexpected};

use super::tree::Place;
use crate::invalid::{invalid, invalid_at};
use crate::suggest::did_you_mean;

/// What is wrong, and where as far as the way back up has told.
#[derive(Debug)]
pub(crate) struct Problem {
    message: String,
    /// Keys from the innermost outwards.
    path: Vec<String>,
    place: Option<Place>,
    /// An unknown or missing key, as opposed to a wrong value: the path leads to the section and `message` names the key.
    about_key: bool,
}

impl Problem {
    pub(super) fn new(message: String) -> Self {
        Self { message, path: Vec::new(), place: None, about_key: false }
    }

    pub(super) fn at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    pub(super) fn within(mut self, key: &str) -> Self {
        self.path.push(key.to_owned());
        self
    }

    pub(super) fn into_error(self) -> events_core::Error {
        let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
        let message = match (path.is_empty(), self.about_key) {
            (true, _) => self.message,
            (false, true) => format!("in `{}`: {}", path.join("."), self.message),
            (false, false) => format!("`{}`: {}", path.join("."), self.message),
        };
        match self.place {
            Some(place) => invalid_at(&place, &message),
            None => invalid(message),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    // The value itself stays out of the message: it may be a password that stands under the wrong key.
    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "a truth value",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
            Unexpected::Float(_) => "a number",
            Unexpected::Str(_) | Unexpected::Char(_) => "text",
            Unexpected::Unit | Unexpected::Option => "nothing",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a section of keys",
            _ => "something else",
        };
        Self::new(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}"))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let hint = did_you_mean(field, known).unwrap_or_default();
        let known = known.join(", ");
        Self { about_key: true, ..Self::new(format!("unknown key `{field}`{hint} (known: {known})")) }
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        let hint = did_you_mean(variant, known).unwrap_or_default();
        Self::new(format!("expected one of {}{hint}", known.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { about_key: true, ..Self::new(format!("key `{field}` is missing")) }
    }
}
