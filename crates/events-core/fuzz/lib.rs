//! What every fuzz target checks: no input panics, overflows the stack or takes more memory than a small multiple of its
//! length, and what was read can be written and read again.

use events_core::wire::{Encoding, RawMessage};
use events_core::{Error, ErrorKind};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// How many bytes decoding may take for each byte that is read: text may be unescaped, copied, and escaped again six times
/// as long.
const TIMES: usize = 16;

/// What a message with the most fields takes, however short they are: a map of 1024 headers or attributes.
const ALLOWANCE: usize = 256 * 1024;

/// Decodes a message and checks what must hold for any.
pub fn check(message: &RawMessage) {
    let bytes: usize = message.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let decoded = message.decode(time::macros::datetime!(2026-02-10 12:00 UTC));
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken <= TIMES * bytes + ALLOWANCE, "{taken} bytes of memory for {bytes} bytes");
    let event = match decoded {
        Ok(event) => event,
        Err(error) => return assert_typed(&error),
    };
    for encoding in Encoding::ALL {
        let encoded = match encoding.encode(&event) {
            Ok(encoded) => RawMessage::from(&encoded),
            Err(error) => {
                assert_typed(&error);
                continue;
            }
        };
        let again = encoded.decode(event.timestamp()).expect("what was written can be read");
        // Numbers and truth values are text where fields are text.
        if encoding != Encoding::CloudEventsBinary {
            assert_eq!(again, event, "{encoding}");
        }
    }
}

fn assert_typed(error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::InvalidEvent | ErrorKind::TooLarge), "{error}");
}
