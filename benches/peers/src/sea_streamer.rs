//! sea-streamer-redis.

use std::time::Instant;

use anyhow::Result;
use sea_streamer_redis::{AutoCommit, AutoStreamReset, RedisConnectOptions, RedisConsumerOptions, RedisStreamer};
use sea_streamer_types::{
    Buffer, Consumer, ConsumerGroup, ConsumerMode, ConsumerOptions, Message, Producer, StreamKey, Streamer,
};

use crate::{Event, event, rate};

/// Events a second, published and consumed.
pub(super) async fn measure(url: &str, key: &str, count: usize) -> Result<(f64, f64)> {
    let streamer = RedisStreamer::connect(url.parse()?, RedisConnectOptions::default()).await?;
    let key = StreamKey::new(key)?;
    let mut producer = streamer.create_producer(key.clone(), Default::default()).await?;
    let event = event()?;
    let started = Instant::now();
    for _ in 0..count {
        producer.send(serde_json::to_string(&event)?)?;
    }
    producer.flush().await?;
    let published = rate(count, started.elapsed());

    let mut options = RedisConsumerOptions::new(ConsumerMode::LoadBalanced);
    options.set_consumer_group(ConsumerGroup::new("peers"))?;
    options.set_auto_stream_reset(AutoStreamReset::Earliest);
    // What it recommends for at least once.
    options.set_auto_commit(AutoCommit::Rolling);
    options.set_batch_size(512);
    let consumer = streamer.create_consumer(&[key], options).await?;
    let started = Instant::now();
    for _ in 0..count {
        let message = consumer.next().await?;
        let _: Event = serde_json::from_slice(message.message().as_bytes())?;
        consumer.ack(&message)?;
    }
    Ok((published, rate(count, started.elapsed())))
}
