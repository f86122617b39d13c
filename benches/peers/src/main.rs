//! What other crates for the same job do: `events-peers <redis URL> <events>`, started by `cargo xtask bench --peers`.
//!
//! Prints a line for each figure: peer, what it did, and events a second of each round, separated by tabs.

mod omniqueue;
mod sea_streamer;

use std::io::{Write, stdout};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

const ROUNDS: usize = 3;

/// The event of `events`, as its users would define it with serde.
#[derive(Deserialize, Serialize)]
struct Event {
    version: u64,
    event_type: String,
    source: String,
    timestamp: String,
    payload: Box<RawValue>,
    id: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().context("which server?")?;
    let count: usize = arguments.next().context("how many events?")?.parse()?;
    let (mut publish, mut consume, mut stream, mut read) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (published, consumed) = omniqueue::measure(&url, &format!("peers:omniqueue:{round}"), count / 5).await?;
        publish.push(published);
        consume.push(consumed);
        let (published, consumed) = sea_streamer::measure(&url, &format!("peers-sea-{round}"), count).await?;
        stream.push(published);
        read.push(consumed);
    }
    say("omniqueue 0.3", "publish one by one", &publish)?;
    say("omniqueue 0.3", "receive, decode, acknowledge", &consume)?;
    say("sea-streamer-redis 0.5", "publish, flush at the end", &stream)?;
    say("sea-streamer-redis 0.5", "receive, decode, acknowledge", &read)
}

fn say(peer: &str, what: &str, rates: &[f64]) -> Result<()> {
    let rates: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    Ok(writeln!(stdout(), "{peer}\t{what}\t{}", rates.join("\t"))?)
}

/// An event of 288 bytes.
fn event() -> Result<Event> {
    let payload = |note: &str| {
        let json = format!(r#"{{"workspace":"coreos","usergroup":"team-a","users":["alice","bob"],"note":"{note}"}}"#);
        RawValue::from_string(json)
    };
    let event = |note: &str| {
        anyhow::Ok(Event {
            version: 1,
            event_type: "slack-usergroups.update_users".to_owned(),
            source: "qontract-api".to_owned(),
            timestamp: "2026-02-10T12:00:00.123456Z".to_owned(),
            payload: payload(note)?,
            id: "019c4755-5ec0-7b3a-9c55-1f2d3c4b5a69".to_owned(),
        })
    };
    let missing = 288 - serde_json::to_vec(&event("")?)?.len();
    let event = event(&"x".repeat(missing))?;
    ensure!(serde_json::to_vec(&event)?.len() == 288, "the event is of the usual size");
    Ok(event)
}

fn rate(events: usize, taken: Duration) -> f64 {
    events as f64 / taken.as_secs_f64()
}
