//! What a registry makes is measured, if somebody asked for that.

use std::sync::Arc;
use std::time::Duration;

use events_core::{ConsumerOptions, EventConsumer, EventPublisher, Result};
use events_telemetry::{
    Health, Poller, measure_consumer, measure_publisher, observe_consumer, observe_publisher,
};

use crate::registry::refuse_disabled;
use crate::{EventsConfig, Registry, Target};

/// Whether what is made is measured, and who is told whether the broker answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measuring {
    health: Option<Health>,
}

impl Measuring {
    pub(crate) fn observe(&self, target: &mut Target<'_>) {
        if self.health.is_some() {
            target.observer = observe_publisher(target.stream_key);
        }
    }

    pub(crate) fn publisher(
        &self,
        publisher: Result<Arc<dyn EventPublisher>>,
        config: &EventsConfig,
    ) -> Result<Arc<dyn EventPublisher>> {
        let Some(health) = &self.health else { return publisher };
        health.connected(publisher.as_ref().map(drop));
        Ok(measure_publisher(publisher?, &config.stream_key, health))
    }

    pub(crate) fn options(&self, config: &EventsConfig) -> Result<ConsumerOptions> {
        let options = config.consumer_options()?;
        if self.health.is_none() {
            return Ok(options);
        }
        let observer = observe_consumer(&config.stream_key, options.group());
        Ok(options.with_observer(observer))
    }

    pub(crate) fn consumer(
        &self,
        consumer: Result<Box<dyn EventConsumer>>,
        config: &EventsConfig,
        options: &ConsumerOptions,
    ) -> Result<Box<dyn EventConsumer>> {
        let Some(health) = &self.health else { return consumer };
        health.connected(consumer.as_ref().map(drop));
        Ok(measure_consumer(consumer?, &config.stream_key, options, health))
    }

    /// What counts an event manager, if anything does.
    #[cfg(feature = "runtime")]
    pub(crate) fn manager(&self, config: &EventsConfig) -> Option<events_telemetry::ManagerMeter> {
        self.health.as_ref().map(|_| events_telemetry::ManagerMeter::new(&config.stream_key))
    }
}

impl Registry {
    /// Measures every publisher, consumer, manager and worker made from here on, and tells `health` whether their broker
    /// answers. The recorder has to be installed before.
    #[must_use]
    pub fn with_telemetry(mut self, health: &Health) -> Self {
        self.measuring.health = Some(health.clone());
        self
    }

    /// Looks at the stream every so often, for what no publisher and no consumer can see: the lag and the pending events of
    /// each group, and the dead letters; the configured group's stalling is told to the health given before. Connects for
    /// as long as it takes, and looks for as long as it is awaited.
    ///
    /// # Errors
    ///
    /// When nothing that can pass keeps it from connecting, as a configuration that is wrong.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the looking.
    pub async fn watch_event_stream(&self, config: &EventsConfig, every: Duration) -> Result<()> {
        refuse_disabled(config)?;
        let health = self.measuring.health.clone();
        let health = health.unwrap_or_else(|| Health::new(&config.stream_key, Default::default()));
        let admin = loop {
            let admin = self.create_event_admin(config).await;
            health.connected(admin.as_ref().map(drop));
            match admin {
                Err(error) if error.is_transient() => tokio::time::sleep(every.min(RETRY)).await,
                admin => break admin?,
            }
        };
        let group = config.consumer_group.clone().unwrap_or_default();
        Poller::new(admin, &*config.stream_key, group, health).run(every).await;
        Ok(())
    }
}

/// How often a connection is tried again.
const RETRY: Duration = Duration::from_secs(1);
