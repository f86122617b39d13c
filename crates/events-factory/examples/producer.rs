//! A complete producer service: publishes from plain code, carries the request's id along, and closes in time.
//!
//! `EVENTS_URL=sqlite:events.db cargo run -p events-factory --features runtime --example producer -- 3` publishes three
//! events; with a file as a second argument, such as `examples/service.yaml`, its settings count.

#![expect(clippy::print_stdout, reason = "this is what the example shows")]

use std::time::Duration;

use events_core::Event;
use events_factory::{ConfigLoader, create_event_manager};
use events_runtime::{EventManager, HeaderScope};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Business code: it neither waits for events nor knows whether they can be sent.
fn update_users(events: &EventManager, request: u32) -> Result<()> {
    let payload = serde_json::json!({ "usergroup": "team-a", "request": request });
    events.publish(Event::new("slack-usergroups.update_users", "example", payload)?);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let requests: u32 = arguments.next().map_or(Ok(3), |count| count.parse())?;
    let mut loader = ConfigLoader::new().with_environment(std::env::vars());
    if let Some(file) = arguments.next() {
        loader = loader.with_file(file);
    }
    // Starts whether or not the broker is there.
    let events = create_event_manager(loader.load()?.config()).await?;
    for request in 0..requests {
        let scope = HeaderScope::new().with("x-request-id", request.to_string());
        scope.run_sync(|| update_users(&events, request))?;
    }
    let stats = events.close(Duration::from_secs(5)).await;
    println!("published {} spooled {} dropped {}", stats.published, stats.spooled, stats.dropped_total());
    Ok(())
}
