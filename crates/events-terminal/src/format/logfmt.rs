//! Pairs of key and value on one line, for programs that collect logs.

use events_core::wire;

use crate::Line;
use crate::escape::{append_inside_quotes, append_json, append_value};

pub(super) fn append(out: &mut Vec<u8>, line: &Line<'_>) {
    let event = line.event;
    out.extend_from_slice(b"ts=");
    wire::append_timestamp(out, event.timestamp());
    pair(out, "type", event.event_type());
    pair(out, "source", event.source());
    out.extend_from_slice(format!(" version={}", event.version()).as_bytes());
    if let Some(id) = event.id() {
        pair(out, "id", id);
    }
    if let Some(message_id) = line.message_id {
        pair(out, "message_id", message_id.as_str());
    }
    if let Some(attempt) = line.attempt {
        out.extend_from_slice(format!(" attempt={attempt}").as_bytes());
    }
    for (name, value) in event.headers().iter() {
        out.extend_from_slice(b" header.");
        append_value(out, name);
        out.push(b'=');
        append_value(out, value);
    }
    // Quoted always, since it begins with a brace; its own escapes are escaped once more.
    out.extend_from_slice(b" payload=\"");
    let mut payload = Vec::with_capacity(event.payload().len());
    append_json(&mut payload, event.payload());
    append_inside_quotes(out, &String::from_utf8_lossy(&payload));
    out.push(b'"');
}

fn pair(out: &mut Vec<u8>, key: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(key.as_bytes());
    out.push(b'=');
    append_value(out, value);
}
