//! Any bytes as the one field `__data__`: the frame and the envelope of FastStream.

#![no_main]

use events_core::wire::{FASTSTREAM_FIELD, RawMessage};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    events_fuzz::check(&RawMessage { fields: vec![(FASTSTREAM_FIELD.into(), data.to_vec())] });
});
