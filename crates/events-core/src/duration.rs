//! Durations as configuration spells them: `500ms`, `30s`, `5m`.
//!
//! Every configuration structure of the workspace reads them here, so that they are spelled alike everywhere:
//!
//! ```
//! #[derive(serde::Deserialize)]
//! struct Settings {
//!     #[serde(deserialize_with = "events_core::duration::deserialize")]
//!     patience: std::time::Duration,
//!     #[serde(default, deserialize_with = "events_core::duration::deserialize_or_none")]
//!     retention: Option<std::time::Duration>,
//! }
//! let settings: Settings = serde_json::from_str(r#"{"patience": "1m 30s", "retention": "none"}"#).unwrap();
//! assert_eq!((settings.patience.as_secs(), settings.retention), (90, None));
//! ```

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::{Error, ErrorKind, Result};

/// Spelled where there may be no duration at all.
const NONE: &str = "none";

/// Reads a duration such as `500ms`, `30s`, `5m` or `1h 30m`; a number needs a unit.
///
/// # Errors
///
/// [`InvalidConfig`](ErrorKind::InvalidConfig), saying what a duration looks like.
pub fn parse(text: &str) -> Result<Duration> {
    humantime::parse_duration(text).map_err(|error| {
        let message = format!("expected a duration such as 500ms, 30s or 5m, found {text:?}");
        Error::new(ErrorKind::InvalidConfig, "configuration", message).with_source(error)
    })
}

/// For `#[serde(deserialize_with)]` on a `Duration`.
///
/// # Errors
///
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(|error| de::Error::custom(error.message()))
}

/// For `#[serde(deserialize_with)]` on an `Option<Duration>`: `none` and a missing value are `None`.
///
/// # Errors
///
/// As [`parse`].
pub fn deserialize_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some(NONE) => Ok(None),
        Some(text) => parse(text).map(Some).map_err(|error| de::Error::custom(error.message())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_number_and_unit() {
        for (text, milliseconds) in [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1m 30s", 90_000)] {
            assert_eq!(parse(text).unwrap(), Duration::from_millis(milliseconds));
        }
        for text in ["", "5", "5 minute s", "-1s", "m", "99999999999999999999y"] {
            assert_eq!(parse(text).unwrap_err().kind(), ErrorKind::InvalidConfig, "{text:?}");
        }
    }
}
