//! A complete producer service: publishes from plain code, carries the request's id along, and closes in time.
//!
//! `cargo run -p events-runtime --example producer -- events.db 3` publishes three events to the embedded backend.

#![expect(clippy::print_stdout, reason = "this is what the example shows")]

use std::sync::Arc;
use std::time::Duration;

use events_core::{ConsumerOptions, Event, EventPublisher};
use events_runtime::{EventManager, HeaderScope, ManagerConfig, Overflow, Spool};
use events_sqlite::{SqliteAdmin, SqliteConfig, SqliteConsumer, SqlitePublisher};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The spool is a database of its own, which belongs to this service alone.
async fn spool(path: String) -> Result<Spool> {
    let config = SqliteConfig::new(path);
    let options = ConsumerOptions::new("spool").with_consumer_name("producer");
    Ok(Spool::new(
        Arc::new(SqlitePublisher::open(&config, "spool").await?),
        Box::new(SqliteConsumer::open(&config, "spool", options).await?),
        Arc::new(SqliteAdmin::open(&config, "spool").await?),
        "spool",
    ))
}

/// Business code: it neither waits for events nor knows whether they can be sent.
fn update_users(events: &EventManager, request: u32) -> Result<()> {
    let payload = serde_json::json!({ "usergroup": "team-a", "request": request });
    events.publish(Event::new("slack-usergroups.update_users", "example", payload)?);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "events.db".to_owned());
    let requests: u32 = arguments.next().map_or(Ok(3), |count| count.parse())?;

    let mut config = ManagerConfig::default();
    config.overflow = Overflow::Spool;
    let broker = SqliteConfig::new(&path);
    let connect = move || {
        let broker = broker.clone();
        async move { Ok(Arc::new(SqlitePublisher::open(&broker, "example").await?) as Arc<dyn EventPublisher>) }
    };
    let spool = spool(format!("{path}.spool")).await?;
    let events = EventManager::connecting(connect, config).with_spool(spool).build()?;

    for request in 0..requests {
        let scope = HeaderScope::new().with("x-request-id", request.to_string());
        scope.run_sync(|| update_users(&events, request))?;
    }
    let stats = events.close(Duration::from_secs(5)).await;
    println!("published {} spooled {} dropped {}", stats.published, stats.spooled, stats.dropped_total());
    Ok(())
}
