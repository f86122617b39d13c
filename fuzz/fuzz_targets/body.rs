//! Any bytes as the one field `event`: the decision record's JSON and the structured mode of CloudEvents.

#![no_main]

use events_core::wire::RawMessage;

libfuzzer_sys::fuzz_target!(|data: &[u8]| events_fuzz::check(&RawMessage::from_body(data)));
