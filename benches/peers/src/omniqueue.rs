//! omniqueue.

use std::time::{Duration, Instant};

use anyhow::Result;
use omniqueue::backends::redis::{RedisBackend, RedisConfig};
use redis::Commands;

use crate::{Event, event, rate};

/// Events a second, published and consumed.
pub(super) async fn measure(url: &str, key: &str, count: usize) -> Result<(f64, f64)> {
    // It expects the group to be there.
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let _: () = connection.xgroup_create_mkstream(key, "peers", 0)?;
    let config = RedisConfig {
        dsn: url.to_owned(),
        max_connections: 8,
        reinsert_on_nack: false,
        queue_key: key.to_owned(),
        delayed_queue_key: format!("{key}:delayed"),
        delayed_lock_key: format!("{key}:lock"),
        consumer_group: "peers".to_owned(),
        consumer_name: "peer".to_owned(),
        payload_key: "event".to_owned(),
        ack_deadline_ms: 60_000,
        dlq_config: None,
        sentinel_config: None,
    };
    let (producer, mut consumer) = RedisBackend::builder(config).build_pair().await?;
    let event = event()?;
    let started = Instant::now();
    for _ in 0..count {
        producer.send_serde_json(&event).await?;
    }
    let published = rate(count, started.elapsed());
    let started = Instant::now();
    let mut received = 0;
    while received < count {
        for delivery in consumer.receive_all(512, Duration::from_secs(1)).await? {
            let _: Option<Event> = delivery.payload_serde_json()?;
            delivery.ack().await.map_err(|(error, _)| error)?;
            received += 1;
        }
    }
    let consumed = rate(count, started.elapsed());
    let _: () = connection.del(key)?;
    Ok((published, consumed))
}
