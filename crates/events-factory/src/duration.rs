//! Durations as people write them: `500ms`, `30s`, `5m`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// Reads a duration such as `500ms`, `30s`, `5m` or `1h 30m`; a number needs a unit.
///
/// # Errors
///
/// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig), saying what a duration looks like.
pub fn parse_duration(text: &str) -> events_core::Result<Duration> {
    humantime::parse_duration(text).map_err(|error| {
        crate::invalid::invalid(format!("expected a duration such as 500ms, 30s or 5m, found {text:?}"))
            .with_source(error)
    })
}

/// For `#[serde(deserialize_with)]` on a setting that may be left out.
pub(crate) fn deserialize_optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    parse_duration(&text).map(Some).map_err(|error| de::Error::custom(error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_number_and_unit() {
        for (text, milliseconds) in [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1m 30s", 90_000)] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(milliseconds));
        }
        for text in ["", "5", "5 minute s", "-1s", "m", "99999999999999999999y"] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }
}
