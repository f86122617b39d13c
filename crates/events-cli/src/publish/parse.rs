//! Events from flags and from lines of JSON.

use std::collections::BTreeMap;

use events_core::{Error, ErrorKind, Event, EventBuilder, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::flags::EventFlags;

/// A line of input. Unknown keys are mistakes: an event without its payload because of a misspelled key helps nobody.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    event_type: String,
    source: String,
    version: Option<u64>,
    timestamp: Option<String>,
    payload: Option<Box<RawValue>>,
    id: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// The event the flags give; `None` without a type, when events come from standard input.
pub(super) fn from_flags(flags: &EventFlags, foreign: bool) -> Result<Option<Event>> {
    let (Some(event_type), Some(source)) = (&flags.event_type, &flags.source) else { return Ok(None) };
    let mut event = builder(event_type.clone(), source.clone(), foreign)
        .with_headers(flags.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    if let Some(version) = flags.version {
        event = event.with_version(version);
    }
    if let Some(timestamp) = &flags.timestamp {
        event = event.with_timestamp(time(timestamp)?);
    }
    if let Some(payload) = &flags.payload {
        event = event.with_payload_json(payload.as_str());
    }
    if let Some(id) = &flags.id {
        event = event.with_id(id.as_str());
    }
    event.build().map(Some)
}

/// The event of a line; `None` for an empty one.
pub(super) fn line(line: &[u8], foreign: bool) -> Result<Option<Event>> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    let line: Line = serde_json::from_slice(line).map_err(|error| {
        Error::new(ErrorKind::InvalidEvent, "read event", "not an event as JSON").with_source(error)
    })?;
    let mut event = builder(line.event_type, line.source, foreign).with_headers(line.headers);
    if let Some(version) = line.version {
        event = event.with_version(version);
    }
    if let Some(timestamp) = &line.timestamp {
        event = event.with_timestamp(time(timestamp)?);
    }
    if let Some(payload) = line.payload {
        event = event.with_payload_json(String::from(Box::<str>::from(payload)));
    }
    if let Some(id) = line.id {
        event = event.with_id(id);
    }
    event.build().map(Some)
}

fn builder(event_type: String, source: String, foreign: bool) -> EventBuilder {
    if foreign { Event::foreign(event_type, source) } else { Event::builder(event_type, source) }
}

fn time(text: &str) -> Result<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|error| {
        // Its own sources say the same again.
        let message = format!("timestamp: {text:?} is no time such as 2026-02-10T12:00:00Z: {error}");
        Error::new(ErrorKind::InvalidEvent, "read event", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Event {
        line(text.as_bytes(), false).unwrap().unwrap()
    }

    #[test]
    fn what_is_wrong_with_a_time_is_said_once() {
        let error = time("2026-13-01T00:00:00Z").expect_err("there are twelve months");
        assert_eq!(error.message().matches("month was not in range").count(), 1, "{error}");
        assert!(std::error::Error::source(&error).is_none());
    }

    #[test]
    fn a_line_may_leave_out_what_has_a_default() {
        let event = parsed("{\"event_type\":\"a.b\",\"source\":\"s\"}\n");
        assert_eq!((event.version(), event.payload()), (1, "{}"));
        assert!(event.id().is_some());
    }

    #[test]
    fn a_line_may_say_everything() {
        let event = parsed(
            r#"{"event_type":"a.b","source":"s","version":3,"timestamp":"2026-02-10T13:00:00+01:00",
                "payload":{"n": 12345678901234567890123},"id":"x","headers":{"h":"v"}}"#,
        );
        assert_eq!((event.version(), event.id()), (3, Some("x")));
        assert_eq!(event.timestamp(), time::macros::datetime!(2026-02-10 12:00 UTC));
        assert_eq!(event.payload(), r#"{"n": 12345678901234567890123}"#);
        assert_eq!(event.headers().get("h"), Some("v"));
    }

    #[test]
    fn what_the_sink_prints_as_json_is_an_event_again() {
        let event = parsed(r#"{"event_type":"a.b","source":"s","payload":{"n":1.0}}"#);
        let mut printed = Vec::new();
        events_core::wire::append_body(&mut printed, &event);
        assert_eq!(line(&printed, false).unwrap(), Some(event));
    }

    #[test]
    fn an_empty_line_is_no_mistake() {
        for empty in ["", "\n", " \r\n"] {
            assert!(line(empty.as_bytes(), false).unwrap().is_none());
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for bad in [
            "nonsense",
            "[]",
            "{}",
            "{\"event_type\":\"a.b\"}",
            "{\"event_type\":\"a.b\",\"source\":\"\"}",
            "{\"event_type\":\"Bad\",\"source\":\"s\"}",
            "{\"event_type\":\"a.b\",\"source\":\"s\",\"payload\":1}",
            "{\"event_type\":\"a.b\",\"source\":\"s\",\"paylaod\":{}}",
            "{\"event_type\":\"a.b\",\"source\":\"s\",\"timestamp\":\"yesterday\"}",
            "{\"event_type\":\"a.b\",\"source\":\"s\"} {}",
            "\u{feff}\u{0}",
        ] {
            assert_eq!(line(bad.as_bytes(), false).expect_err(bad).kind(), ErrorKind::InvalidEvent);
        }
        assert!(line(b"{\"event_type\":\"Bad\",\"source\":\"s\"}", true).is_ok(), "foreign names are taken");
        assert!(line(&[0xff], false).is_err());
    }
}
