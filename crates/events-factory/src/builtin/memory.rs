//! `memory:` and `memory:<name>`: a broker inside this process.

use std::sync::Arc;

use events_core::{ConsumerOptions, EventAdmin, EventConsumer, EventPublisher, Result, async_trait};
use events_memory::MemoryBroker;

use crate::{Backend, Target};

#[derive(Debug)]
pub(super) struct Memory;

#[async_trait]
impl Backend for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn schemes(&self) -> &[&str] {
        super::MEMORY
    }

    async fn publisher(&self, target: &Target<'_>) -> Result<Arc<dyn EventPublisher>> {
        Ok(Arc::new(broker(target)?.publisher(target.stream_key).with_encoding(target.config.encoding)))
    }

    async fn consumer(
        &self,
        target: &Target<'_>,
        options: ConsumerOptions,
    ) -> Result<Box<dyn EventConsumer>> {
        Ok(Box::new(broker(target)?.consumer(target.stream_key, options)?))
    }

    async fn admin(&self, target: &Target<'_>) -> Result<Arc<dyn EventAdmin>> {
        Ok(Arc::new(broker(target)?.admin(target.stream_key)))
    }
}

/// The broker of this process under the URL's name.
fn broker(target: &Target<'_>) -> Result<MemoryBroker> {
    let mut settings = target.config.memory.clone();
    if let Some(limit) = target.config.max_event_bytes {
        settings.max_event_bytes = limit.get();
    }
    MemoryBroker::named(target.url.rest().trim_start_matches('/'), &settings)
}
