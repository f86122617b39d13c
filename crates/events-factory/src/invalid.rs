//! The errors of this crate: something in the configuration is wrong.

use std::fmt;

use events_core::{Error, ErrorKind};

/// What every error of this crate happened during.
const OPERATION: &str = "configuration";

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, OPERATION, message.into())
}

/// Something wrong at a known place.
pub(crate) fn invalid_at(place: &impl fmt::Display, message: &str) -> Error {
    invalid(format!("{place}: {message}"))
}
