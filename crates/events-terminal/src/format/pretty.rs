//! An event over several lines, for people.

use events_core::wire;

use crate::Line;
use crate::escape::{append_json, append_value};

pub(super) fn append(out: &mut Vec<u8>, line: &Line<'_>) {
    let event = line.event;
    wire::append_timestamp(out, event.timestamp());
    out.push(b' ');
    append_value(out, event.event_type());
    out.extend_from_slice(b" from ");
    append_value(out, event.source());
    if event.version() != 1 {
        out.extend_from_slice(format!(" (version {})", event.version()).as_bytes());
    }
    if let Some(id) = event.id() {
        field(out, "id", id);
    }
    if let Some(message_id) = line.message_id {
        field(out, "message", message_id.as_str());
        if let Some(attempt) = line.attempt.filter(|attempt| *attempt > 1) {
            out.extend_from_slice(format!(" (attempt {attempt})").as_bytes());
        }
    }
    for (name, value) in event.headers().iter() {
        out.extend_from_slice(b"\n  header ");
        append_value(out, name);
        out.extend_from_slice(b": ");
        append_value(out, value);
    }
    out.extend_from_slice(b"\n  payload: ");
    let mut payload = Vec::with_capacity(event.payload().len());
    append_json(&mut payload, event.payload());
    append_indented(out, &payload);
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b"\n  ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    append_value(out, value);
}

/// Lays out valid JSON over lines without reading its numbers, which would not survive it: only white space outside of strings
/// changes.
fn append_indented(out: &mut Vec<u8>, json: &[u8]) {
    let mut depth = 1;
    let mut rest = json.iter().copied().filter_outside_strings().peekable();
    while let Some((byte, in_string)) = rest.next() {
        if in_string {
            out.push(byte);
            continue;
        }
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                // An empty object or list stays on its line.
                if rest.peek().is_some_and(|(next, _)| matches!(next, b'}' | b']')) {
                    continue;
                }
                depth += 1;
                new_line(out, depth);
            }
            b'}' | b']' => {
                if !matches!(out.last(), Some(b'{' | b'[')) {
                    depth -= 1;
                    new_line(out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
    }
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}

/// Bytes of JSON without the white space between its tokens, each with whether it belongs to a string.
trait OutsideStrings: Iterator<Item = u8> + Sized {
    fn filter_outside_strings(self) -> impl Iterator<Item = (u8, bool)> {
        let (mut in_string, mut escaped) = (false, false);
        self.filter_map(move |byte| {
            let belongs = in_string || byte == b'"';
            if in_string {
                in_string = escaped || byte != b'"';
                escaped = !escaped && byte == b'\\';
            } else {
                in_string = byte == b'"';
            }
            (belongs || !byte.is_ascii_whitespace()).then_some((byte, belongs))
        })
    }
}

impl<I: Iterator<Item = u8>> OutsideStrings for I {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lays_out_without_touching_strings_and_numbers() {
        let mut out = Vec::new();
        append_indented(&mut out, br#"{"a":1.0e+5, "b" : ["x, {y\"}\\",{}, [ ] ],"c":{"d":null}}"#);
        let wanted = r#"{
    "a": 1.0e+5,
    "b": [
      "x, {y\"}\\",
      {},
      []
    ],
    "c": {
      "d": null
    }
  }"#;
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }
}
