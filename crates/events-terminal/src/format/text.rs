//! One readable line: when, what, from whom, and the payload.

use events_core::wire;

use crate::Line;
use crate::escape::{append_json, append_value};

pub(super) fn append(out: &mut Vec<u8>, line: &Line<'_>) {
    let event = line.event;
    wire::append_timestamp(out, event.timestamp());
    out.extend_from_slice(b" type=");
    append_value(out, event.event_type());
    out.extend_from_slice(b" source=");
    append_value(out, event.source());
    out.extend_from_slice(b" payload=");
    append_json(out, event.payload());
}
