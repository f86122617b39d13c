//! Durations on the command line.

use std::time::Duration;

use events_core::duration;

/// Reads a duration such as `500ms`, `30s` or `5m`; for `#[arg(value_parser)]`.
///
/// # Errors
///
/// What a duration looks like, and no word of where else durations are read.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| error.message().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_none_is_told_what_one_looks_like() {
        assert_eq!(parse_duration("1m 30s"), Ok(Duration::from_secs(90)));
        let wanted = "expected a duration such as 500ms, 30s or 5m, found \"7\"";
        assert_eq!(parse_duration("7"), Err(wanted.to_owned()));
    }
}
