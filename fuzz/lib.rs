//! What every fuzz target checks: no input panics, overflows the stack or takes more memory than a small multiple of its
//! length, what is refused is refused with a typed error, and what was read can be written and read again.
//!
//! `cargo xtask fuzz` builds and runs the targets. A backend's decoders are private to it and need no client, so a target
//! compiles their files alone: no SDK and no SQLite is instrumented, and none can creep into what reads strangers' bytes.

use events_core::wire::{Encoding, RawMessage};
use events_core::{Error, ErrorKind, Event, Result};
use peak_alloc::PeakAlloc;
use time::OffsetDateTime;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// How many bytes decoding may take for each byte that is read: text may be unescaped, copied, and escaped again six times
/// as long.
const TIMES: usize = 16;

/// What a message with the most fields takes, however short they are: a map of 1024 headers or attributes.
const ALLOWANCE: usize = 256 * 1024;

/// When the broker is taken to have accepted what is read.
pub const PUBLISHED_AT: OffsetDateTime = time::macros::datetime!(2026-02-10 12:00 UTC);

/// Decodes what has so many bytes, and checks what that took.
pub fn bounded<T>(bytes: usize, decode: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let decoded = decode();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken <= TIMES * bytes + ALLOWANCE, "{taken} bytes of memory for {bytes} bytes");
    decoded
}

/// Decodes a message and checks what must hold for any.
pub fn check(message: &RawMessage) {
    let bytes = message.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    check_outcome(&bounded(bytes, || message.decode(PUBLISHED_AT)));
}

/// Checks what must hold for anything that was decoded.
pub fn check_outcome(decoded: &Result<Event>) {
    let event = match decoded {
        Ok(event) => event,
        Err(error) => return assert_typed(error),
    };
    for encoding in Encoding::ALL {
        let encoded = match encoding.encode(event) {
            Ok(encoded) => RawMessage::from(&encoded),
            Err(error) => {
                assert_typed(&error);
                continue;
            }
        };
        let again = encoded.decode(event.timestamp()).expect("what was written can be read");
        // Numbers and truth values are text where fields are text.
        if encoding != Encoding::CloudEventsBinary {
            assert_eq!(again, *event, "{encoding}");
        }
    }
}

/// Checks that an error says that the input is at fault.
pub fn assert_typed(error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::InvalidEvent | ErrorKind::TooLarge), "{error}");
}
