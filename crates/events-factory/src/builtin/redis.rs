//! `redis://` and its relatives: Redis Streams, on one server, a cluster, or behind sentinels.

use std::sync::Arc;
use std::time::Duration;

use events_core::{
    ConsumerOptions, EventAdmin, EventConsumer, EventPublisher, Result, SeenStore, async_trait,
};
use events_redis::{RedisAdmin, RedisConfig, RedisConsumer, RedisPublisher, RedisSeen};

use crate::{Backend, Target};

#[derive(Debug)]
pub(super) struct Redis;

#[async_trait]
impl Backend for Redis {
    fn name(&self) -> &str {
        "redis"
    }

    fn schemes(&self) -> &[&str] {
        super::REDIS
    }

    async fn publisher(&self, target: &Target<'_>) -> Result<Arc<dyn EventPublisher>> {
        let publisher = RedisPublisher::connect(&settings(target), target.stream_key).await?;
        let publisher = publisher.with_observer(Arc::clone(&target.observer));
        Ok(Arc::new(publisher.with_encoding(target.config.encoding)))
    }

    async fn consumer(
        &self,
        target: &Target<'_>,
        options: ConsumerOptions,
    ) -> Result<Box<dyn EventConsumer>> {
        Ok(Box::new(RedisConsumer::connect(&settings(target), target.stream_key, options).await?))
    }

    async fn admin(&self, target: &Target<'_>) -> Result<Arc<dyn EventAdmin>> {
        let admin = RedisAdmin::connect(&settings(target), target.stream_key).await?;
        Ok(match target.config.lease {
            Some(lease) => Arc::new(admin.with_lease(lease)),
            None => Arc::new(admin),
        })
    }

    async fn seen_store(
        &self,
        target: &Target<'_>,
        group: &str,
        keep: Duration,
    ) -> Result<Arc<dyn SeenStore>> {
        let seen = RedisSeen::connect(&settings(target), target.stream_key, group, keep).await?;
        Ok(Arc::new(seen))
    }
}

/// The section's settings, for the server the URL names.
fn settings(target: &Target<'_>) -> RedisConfig {
    let settings = target.config.redis.clone().with_url(target.url.expose());
    match target.config.max_event_bytes {
        Some(limit) => settings.with_max_event_bytes(limit),
        None => settings,
    }
}
