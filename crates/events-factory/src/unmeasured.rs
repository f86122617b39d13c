//! What a registry makes is not measured: the feature `telemetry` is off.

use std::sync::Arc;

use events_core::{ConsumerOptions, EventConsumer, EventPublisher, Result};

use crate::{EventsConfig, Target};

/// Nothing is measured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measuring {}

impl Measuring {
    pub(crate) fn observe(self, _: &mut Target<'_>) {}

    pub(crate) fn publisher(
        self,
        publisher: Result<Arc<dyn EventPublisher>>,
        _: &EventsConfig,
    ) -> Result<Arc<dyn EventPublisher>> {
        publisher
    }

    pub(crate) fn options(self, config: &EventsConfig) -> Result<ConsumerOptions> {
        config.consumer_options()
    }

    pub(crate) fn consumer(
        self,
        consumer: Result<Box<dyn EventConsumer>>,
        _: &EventsConfig,
        _: &ConsumerOptions,
    ) -> Result<Box<dyn EventConsumer>> {
        consumer
    }
}
