//! Any bytes as the two columns of a stored message: those of a stream, of the dead letters and of a manager's spool.
//!
//! The length of the body in two bytes, little endian, and one more than it is, so that there may be none; the body; and
//! what is left as the fields.

#![no_main]
#![expect(dead_code, reason = "what these files have for others is not used here")]

#[path = "../../crates/events-sqlite/src/clock.rs"]
mod clock;
#[path = "../../crates/events-sqlite/src/stored.rs"]
mod stored;

use events_core::wire::{BODY_FIELD, Encoding};
use events_fuzz::{bounded, check_outcome};
use time::OffsetDateTime;

use stored::Stored;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let stored = read(data);
    let raw = bounded(data.len(), || stored.to_raw());
    let bytes: usize = raw.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(bytes <= BODY_FIELD.len() + data.len());
    let decoded = bounded(data.len(), || stored.decode(None, 0));
    check_outcome(&decoded);
    assert_eq!(decoded.as_ref().ok(), raw.decode(OffsetDateTime::UNIX_EPOCH).as_ref().ok());
    let Ok(event) = decoded else { return };
    for encoding in Encoding::ALL {
        let Ok(encoded) = encoding.encode(&event) else { continue };
        let again = Stored::from(encoded).decode(Some(encoding), 0).expect("what was stored can be read");
        assert_eq!(again.payload(), event.payload());
    }
});

fn read(data: &[u8]) -> Stored {
    let Some((length, rest)) = data.split_first_chunk() else { return Stored::default() };
    let Some(length) = usize::from(u16::from_le_bytes(*length)).checked_sub(1) else {
        return Stored { body: None, fields: Some(rest.into()) };
    };
    let (body, fields) = rest.split_at(length.min(rest.len()));
    Stored { body: Some(body.into()), fields: Some(fields.into()) }
}
