//! The client library by itself, as one would use it without `events`.

use std::time::{Duration, Instant};

use anyhow::Result;
use fred::clients::Client;
use fred::interfaces::{ClientLike, StreamsInterface};
use fred::types::Builder;
use fred::types::config::Config;

/// A connected client that sends small commands at once, as ours does.
pub(super) async fn connect(url: &str) -> Result<Client> {
    let mut builder = Builder::from_config(Config::from_url(url)?);
    builder.with_connection_config(|config| config.tcp.nodelay = Some(true));
    let client = builder.build()?;
    client.init().await?;
    Ok(client)
}

/// Adds entries one at a time, each after the answer to the one before.
pub(super) async fn add_one_by_one(
    client: Client,
    key: String,
    bodies: Vec<Vec<u8>>,
    count: usize,
) -> Result<Duration> {
    let started = Instant::now();
    for body in bodies.iter().cycle().take(count) {
        client.xadd::<String, _, _, _, _>(&key, false, None, "*", vec![("event", body.as_slice())]).await?;
    }
    Ok(started.elapsed())
}
