//! Any reply of a Redis server, as the protocol spells it: entries, dead letters, and what the server tells of groups and
//! of what is pending.
//!
//! Telling the parts of a reply from each other is the client's part; here it is done as far as it must be to get any
//! reply at all.

#![no_main]
#![expect(dead_code, reason = "what these files have for others is not used here")]

#[path = "../../crates/events-redis/src/dead_letter.rs"]
mod dead_letter;
#[path = "../../crates/events-redis/src/entry_id.rs"]
mod entry_id;
#[path = "../../crates/events-redis/src/client/part.rs"]
mod part;
#[path = "../../crates/events-redis/src/client/reply.rs"]
mod reply;

/// Where the files look for it.
mod client {
    pub(crate) use crate::reply::Entry;
}

use std::collections::HashMap;

use events_core::wire::RawMessage;
use events_fuzz::{assert_typed, bounded, check};
use fred::types::{Map, Value};

use dead_letter::Origin;
use reply::Entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(value) = Protocol(data).value(DEPTH) else { return };
    let bytes = data.len();
    bounded(bytes, || reply::pending(value.clone()));
    bounded(bytes, || reply::groups(value.clone()));
    bounded(bytes, || reply::added(value.clone(), 1_000));
    bounded(bytes, || reply::ids(value.clone()));
    let read = bounded(bytes, || reply::read(value.clone()));
    let deliveries = bounded(bytes, || reply::deliveries(value.clone()));
    assert_eq!(read.as_ref().map(Vec::len), deliveries.as_ref().map(Vec::len));
    let claimed = bounded(bytes, || reply::claimed(value.clone()));
    let entries = bounded(bytes, || reply::entries(value.clone()));
    let claimed = claimed.map(|claimed| claimed.entries);
    let entries = entries.map(|(entries, _)| entries);
    for entry in [read, claimed, entries].into_iter().flatten().flatten() {
        check_entry(bytes, entry);
    }
});

fn check_entry(bytes: usize, entry: Entry) {
    let owned = |(name, value): &(bytes::Bytes, bytes::Bytes)| (name.to_vec(), value.to_vec());
    check(&RawMessage { fields: entry.fields.iter().map(owned).collect() });
    assert_eq!(entry.id, entry.id.to_string().parse().expect("an id that was read"));
    let fields = entry.fields.len();
    let origin = Origin::of(&entry).map(|origin| origin.fields.len());
    match bounded(bytes, || dead_letter::read(entry)) {
        Ok(letter) => {
            assert_eq!(origin, Some(letter.message.fields.len()));
            assert!(ABOUT.contains(&(fields - letter.message.fields.len())));
        }
        Err(error) => assert_typed(&error),
    }
}

/// How many fields say what is known of a dead letter: now, and once.
const ABOUT: [usize; 2] = [9, 8];

/// How deep a reply may nest; those of streams have five levels.
const DEPTH: usize = 8;

/// Takes what it reads from the front.
struct Protocol<'a>(&'a [u8]);

impl<'a> Protocol<'a> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        let (kind, line) = self.line()?.split_first()?;
        let number = || std::str::from_utf8(line).ok()?.parse().ok();
        Some(match kind {
            b'_' => Value::Null,
            b'+' => Value::String(std::str::from_utf8(line).ok()?.into()),
            b':' => Value::Integer(number()?),
            b',' => Value::Double(std::str::from_utf8(line).ok()?.parse().ok()?),
            b'#' => Value::Boolean(line == b"t"),
            b'$' if line == b"-1" => Value::Null,
            b'$' => {
                let (bytes, rest) = self.0.split_at_checked(number()?.try_into().ok()?)?;
                self.0 = rest.strip_prefix(b"\r\n")?;
                // As the client does it.
                match std::str::from_utf8(bytes) {
                    Ok(text) => Value::String(text.into()),
                    Err(_) => Value::Bytes(bytes.to_vec().into()),
                }
            }
            b'*' | b'~' => {
                let count: i64 = number()?;
                let values = (0..count).map(|_| self.value(depth.checked_sub(1)?));
                Value::Array(values.collect::<Option<_>>()?)
            }
            b'%' => {
                let count: i64 = number()?;
                let mut map = HashMap::new();
                for _ in 0..count {
                    map.insert(self.value(0)?.as_str()?.to_string(), self.value(depth.checked_sub(1)?)?);
                }
                Value::Map(Map::try_from(map).ok()?)
            }
            _ => return None,
        })
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let end = self.0.windows(2).position(|two| two == b"\r\n")?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 2..];
        Some(line)
    }
}
