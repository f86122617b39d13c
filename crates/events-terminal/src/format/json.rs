//! The event's JSON, as the wire has it, on one line.

use events_core::wire;

use crate::Line;
use crate::escape::{append_json, is_clean};

pub(super) fn append(out: &mut Vec<u8>, line: &Line<'_>) {
    let start = out.len();
    wire::append_body(out, line.event);
    if is_clean(&out[start..]) {
        return;
    }
    let body = out.split_off(start);
    // The codec writes UTF-8; where it did not, replacement characters are safer than what is there.
    append_json(out, &String::from_utf8_lossy(&body));
}
