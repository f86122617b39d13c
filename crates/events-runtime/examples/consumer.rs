//! A complete consumer service: handles events by type, in the order of their group, until Ctrl-C or until nothing is left.
//!
//! `cargo run -p events-runtime --example consumer -- events.db` handles what the producer has published.

#![expect(clippy::print_stdout, reason = "this is what the example shows")]

use std::num::NonZeroUsize;
use std::sync::Arc;

use events_core::{ConsumerOptions, Event};
use events_runtime::{Context, Deduplicate, Failure, Typed, Worker, WorkerConfig};
use events_sqlite::{SqliteConfig, SqliteConsumer};
use serde::Deserialize;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Deserialize)]
struct UpdateUsers {
    usergroup: String,
    request: u32,
}

/// Handles one event; an error is tried again, a payload that does not fit is dead-lettered.
async fn update_users(context: Context, update: Typed<UpdateUsers>) -> std::result::Result<(), Failure> {
    if update.usergroup.is_empty() {
        return Err(Failure::permanent("a group without a name cannot be updated"));
    }
    let request = context.headers().get("x-request-id").unwrap_or("none");
    println!("{} request {} ({request})", update.usergroup, update.request);
    Ok(())
}

async fn something_else(_: Context, event: Arc<Event>) -> std::result::Result<(), Failure> {
    println!("{} from {}", event.event_type(), event.source());
    Ok(())
}

fn usergroup(event: &Event) -> Option<String> {
    event.payload_as::<UpdateUsers>().ok().map(|update| update.usergroup)
}

#[tokio::main]
async fn main() -> Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "events.db".to_owned());
    let options = ConsumerOptions::new("example");
    let consumer = SqliteConsumer::open(&SqliteConfig::new(path), "example", options).await?;
    let window = NonZeroUsize::new(10_000).ok_or("a window of nothing")?;
    let report = Worker::new(Box::new(consumer), WorkerConfig::default())?
        .with(Deduplicate::new(window))
        .on("slack-usergroups.update_users", update_users)
        .otherwise(something_else)
        .in_order_of(usergroup)
        .until_drained()
        .run_until(async { drop(tokio::signal::ctrl_c().await) })
        .await?;
    println!("acked {} failed {} dead-lettered {}", report.acked, report.failed, report.dead_lettered);
    Ok(())
}
