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

/// What is read first stands out: the type, then the source.
pub(super) fn append_coloured(out: &mut Vec<u8>, line: &Line<'_>) {
    const DIM: &[u8] = b"\x1b[2m";
    const BOLD: &[u8] = b"\x1b[1m";
    const CYAN: &[u8] = b"\x1b[36m";
    const PLAIN: &[u8] = b"\x1b[0m";
    let event = line.event;
    let dim = |out: &mut Vec<u8>, text: &[u8]| {
        [DIM, text, PLAIN].iter().for_each(|part| out.extend_from_slice(part));
    };
    out.extend_from_slice(DIM);
    wire::append_timestamp(out, event.timestamp());
    out.extend_from_slice(PLAIN);
    for (key, colour, value) in [(" type=", BOLD, event.event_type()), (" source=", CYAN, event.source())] {
        dim(out, key.as_bytes());
        out.extend_from_slice(colour);
        append_value(out, value);
        out.extend_from_slice(PLAIN);
    }
    dim(out, b" payload=");
    append_json(out, event.payload());
}
