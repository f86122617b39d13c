//! The event of every measure: 288 bytes of JSON, as a service of the platform writes it.

use anyhow::{Context, Result};
use events_core::Event;
use events_core::wire::Encoding;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// How many events one batch has.
pub(crate) const BATCH: usize = 256;

/// How large an event's JSON is.
pub(crate) const BYTES: usize = 288;

#[derive(Serialize)]
struct Payload<'a> {
    n: u64,
    workspace: &'a str,
    usergroup: &'a str,
    users: [&'a str; 2],
    note: &'a str,
}

/// What a measure of latency reads from the payload.
#[derive(Deserialize)]
pub(crate) struct Number {
    pub(crate) n: u64,
}

/// An event that carries a number of eight digits.
pub(crate) fn event(number: u64) -> Result<Event> {
    let build = |note: &str| {
        let payload = Payload {
            n: 10_000_000 + number,
            workspace: "coreos",
            usergroup: "team-a",
            users: ["alice", "bob"],
            note,
        };
        Event::builder("slack-usergroups.update_users", "qontract-api")
            .with_timestamp(OffsetDateTime::from_unix_timestamp_nanos(1_770_724_800_123_456_000)?)
            .with_payload(payload)
            .build()
            .context("the sample is a valid event")
    };
    let filler = "x".repeat(BYTES);
    let missing = BYTES - body(&build("")?)?.len();
    build(&filler[..missing])
}

/// The number an event carries.
pub(crate) fn number(event: &Event) -> Result<u64> {
    Ok(event.payload_as::<Number>()?.n - 10_000_000)
}

/// A batch of events, each with an id of its own.
pub(crate) fn batch() -> Result<Vec<Event>> {
    (0..BATCH as u64).map(event).collect()
}

/// The bodies of such a batch, for ceilings, which encode nothing.
pub(crate) fn bodies() -> Result<Vec<Vec<u8>>> {
    batch()?.iter().map(body).collect()
}

fn body(event: &Event) -> Result<Vec<u8>> {
    Encoding::Adr018.encode(event)?.into_body().context("the encoding has a body")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_takes_288_bytes_and_carries_its_number() {
        for number in [0, 7, 9_999_999] {
            let event = event(number).unwrap();
            assert_eq!(body(&event).unwrap().len(), BYTES);
            assert_eq!(super::number(&event).unwrap(), number);
        }
    }
}
