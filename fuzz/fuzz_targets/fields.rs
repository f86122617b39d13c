//! Any fields, a line each, name and value apart by `=`: the binary mode of CloudEvents, headers, and every mixture.

#![no_main]

use events_core::wire::RawMessage;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let field = |line: &[u8]| {
        let mut parts = line.splitn(2, |byte| *byte == b'=').map(<[u8]>::to_vec);
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    };
    events_fuzz::check(&RawMessage { fields: data.split(|byte| *byte == b'\n').map(field).collect() });
});
