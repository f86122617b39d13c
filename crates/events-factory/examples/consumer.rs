//! A complete consumer service: handles events by type, in the order of their group, until Ctrl-C or until nothing is left.
//!
//! `EVENTS_URL=sqlite:events.db cargo run -p events-factory --features runtime --example consumer [-- file.yaml]`

#![expect(clippy::print_stdout, reason = "this is what the example shows")]

use std::num::NonZeroUsize;
use std::sync::Arc;

use events_core::Event;
use events_factory::{ConfigLoader, create_event_worker};
use events_runtime::{Context, Deduplicate, Failure, Typed, until_available};
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

#[tokio::main]
async fn main() -> Result<()> {
    let mut loader = ConfigLoader::new().with_environment(std::env::vars());
    if let Some(file) = std::env::args().nth(1) {
        loader = loader.with_file(file);
    }
    let settings = loader.with_override("consumer_group", "example", "the example's own").load()?;
    let stop = || async { drop(tokio::signal::ctrl_c().await) };
    let connected = until_available(stop(), || create_event_worker(settings.config())).await?;
    let Some(worker) = connected else { return Ok(()) };
    let report = worker
        .with(Deduplicate::new(NonZeroUsize::new(10_000).ok_or("a window of nothing")?))
        .on("slack-usergroups.update_users", update_users)
        .otherwise(something_else)
        .in_order_of(|event| Some(event.payload_as::<UpdateUsers>().ok()?.usergroup))
        .until_drained()
        .run_until(stop())
        .await?;
    println!("acked {} failed {} dead-lettered {}", report.acked, report.failed, report.dead_lettered);
    Ok(())
}
