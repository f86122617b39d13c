//! Durations as configuration spells them: `500ms`, `30s`, `5m`.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Spelled instead of a duration where there may be none.
const NONE: &str = "none";

pub(crate) fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?)
}

pub(crate) fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == NONE { Ok(None) } else { parse(&text).map(Some) }
}

fn parse<E: Error>(text: &str) -> Result<Duration, E> {
    humantime::parse_duration(text)
        .map_err(|error| E::custom(format!("{text:?} is no duration such as `500ms` or `30s`: {error}")))
}
