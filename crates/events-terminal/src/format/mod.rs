//! The formats an event is printed in.

mod json;
mod logfmt;
mod pretty;
mod text;

use clap::ValueEnum;

use crate::Line;

/// How an event is printed. In every format, control characters, line and paragraph separators and marks that turn the
/// direction of text are escaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `<timestamp> type=<event_type> source=<source> payload=<json>` on one line
    #[default]
    Text,
    /// the event's JSON on one line, its payload spelled as it was published; no headers, which are not part of it
    Json,
    /// over several lines for reading, with headers, ids and attempts
    Pretty,
    /// `key=value` pairs on one line, with headers, ids and attempts
    Logfmt,
}

impl Format {
    /// Appends one event and the end of its line.
    pub fn append(self, out: &mut Vec<u8>, line: &Line<'_>) {
        match self {
            Self::Text => text::append(out, line),
            Self::Json => json::append(out, line),
            Self::Pretty => pretty::append(out, line),
            Self::Logfmt => logfmt::append(out, line),
        }
        out.push(b'\n');
    }

    /// As [`append`](Self::append), with the colours a terminal understands where the format is for people: the same text.
    pub fn append_coloured(self, out: &mut Vec<u8>, line: &Line<'_>) {
        match self {
            Self::Text => text::append_coloured(out, line),
            other => return other.append(out, line),
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events_core::{Event, MessageId};
    use time::macros::datetime;

    fn event(source: &str, payload: &str) -> Event {
        Event::foreign("slack.join", source)
            .with_timestamp(datetime!(2026-02-10 12:00:00.12 UTC))
            .with_id("0190")
            .with_version(2)
            .with_payload_json(payload)
            .with_header("traceparent", "00 a\u{1b}")
            .build()
            .unwrap()
    }

    fn printed(format: Format, event: &Event) -> String {
        let message_id = MessageId::from("7-0");
        let line = Line { event, message_id: Some(&message_id), attempt: Some(3) };
        let mut out = Vec::new();
        format.append(&mut out, &line);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_time_type_source_and_payload() {
        let event = event("my api", "{\"n\": 1.0,\n\"m\":12345678901234567890123}");
        assert_eq!(
            printed(Format::Text, &event),
            "2026-02-10T12:00:00.120000Z type=slack.join source=\"my api\" \
             payload={\"n\": 1.0, \"m\":12345678901234567890123}\n"
        );
    }

    #[test]
    fn colours_change_nothing_but_the_colour() {
        let event = event("my \u{1b}[31mapi", "{\"n\": \"\u{9b}0m\"}");
        let (mut plain, mut coloured) = (Vec::new(), Vec::new());
        Format::Text.append(&mut plain, &Line::from(&event));
        Format::Text.append_coloured(&mut coloured, &Line::from(&event));
        let coloured = String::from_utf8(coloured).unwrap();
        assert!(coloured.contains("\u{1b}[1mslack.join\u{1b}[0m"), "{coloured:?}");
        let without: String = (coloured.split('\u{1b}').enumerate())
            .map(|(at, part)| if at == 0 { part } else { part.split_once('m').unwrap().1 })
            .collect();
        assert_eq!(without.as_bytes(), plain);
        let (mut plain, mut coloured) = (Vec::new(), Vec::new());
        Format::Json.append(&mut plain, &Line::from(&event));
        Format::Json.append_coloured(&mut coloured, &Line::from(&event));
        assert_eq!(coloured, plain, "programs get no colours");
    }

    #[test]
    fn json_is_the_event_as_it_was_published() {
        let event = event("s\u{2028}\u{7f}", "{\"n\": 1.0,\n\"c\":\"\u{9b}\"}");
        assert_eq!(
            printed(Format::Json, &event),
            "{\"version\":2,\"event_type\":\"slack.join\",\"source\":\"s\\u2028\\u007f\",\
             \"timestamp\":\"2026-02-10T12:00:00.120000Z\",\
             \"payload\":{\"n\": 1.0, \"c\":\"\\u009b\"},\"id\":\"0190\"}\n"
        );
    }

    #[test]
    fn logfmt_has_everything_on_one_line() {
        let event = event("my api", "{\"a\":\"x y\"}");
        assert_eq!(
            printed(Format::Logfmt, &event),
            "ts=2026-02-10T12:00:00.120000Z type=slack.join source=\"my api\" version=2 id=0190 message_id=7-0 \
             attempt=3 header.traceparent=\"00 a\\u001b\" payload=\"{\\\"a\\\":\\\"x y\\\"}\"\n"
        );
    }

    #[test]
    fn pretty_has_a_line_for_each_thing() {
        let event = event("s", "{\"a\":[1,2]}");
        let wanted = "2026-02-10T12:00:00.120000Z slack.join from s (version 2)\n  id: 0190\n  \
                      message: 7-0 (attempt 3)\n  header traceparent: \"00 a\\u001b\"\n  \
                      payload: {\n    \"a\": [\n      1,\n      2\n    ]\n  }\n";
        assert_eq!(printed(Format::Pretty, &event), wanted);
    }

    #[test]
    fn no_format_prints_a_control_character() {
        let text = "\u{1b}[2J\u{9b}31m\u{202e}\n\r\u{7f}\u{2028}";
        let event = Event::foreign(text, text)
            .with_payload(serde_json::json!({ text: text }))
            .with_id(text)
            .with_header("h", text)
            .build()
            .unwrap();
        for format in Format::value_variants() {
            let printed = printed(*format, &event);
            let raw = printed.trim_end_matches('\n').find(|c: char| {
                (c.is_control() && !(c == '\n' && *format == Format::Pretty))
                    || "\u{202e}\u{2028}".contains(c)
            });
            assert_eq!(raw, None, "{format:?}: {printed:?}");
        }
    }
}
