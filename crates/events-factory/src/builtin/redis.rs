//! `redis://` and its relatives: Redis Streams, on one server, a cluster, or behind sentinels.

use std::sync::Arc;

use events_core::{ConsumerOptions, EventAdmin, EventConsumer, EventPublisher, Result, async_trait};
use events_redis::{RedisAdmin, RedisConfig, RedisConsumer, RedisPublisher};

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
        Ok(Arc::new(RedisPublisher::connect(&settings(target), target.stream_key).await?))
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
}

/// The section's settings, for the server the URL names.
fn settings(target: &Target<'_>) -> RedisConfig {
    let settings = target.config.redis.clone().with_url(target.url.expose());
    match target.config.max_event_bytes {
        Some(limit) => settings.with_max_event_bytes(limit),
        None => settings,
    }
}
