//! Durations as configuration spells them: `500ms`, `30s`, `5m`.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Spelled instead of a duration where there may be none.
const FOREVER: &str = "forever";

pub(crate) fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        D::Error::custom(format!("{text:?} is no duration such as `500ms` or `30s`: {error}"))
    })
}

pub(crate) fn or_forever<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == FOREVER {
        return Ok(None);
    }
    humantime::parse_duration(&text).map(Some).map_err(|error| {
        D::Error::custom(format!("{text:?} is neither `{FOREVER}` nor a duration such as `7days`: {error}"))
    })
}
