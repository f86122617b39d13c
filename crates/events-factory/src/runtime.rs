//! Configuration in, what a service runs out: a manager that publishes, a worker that handles.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use events_core::{EventPublisher, Result, SeenStore};
use events_runtime::{EventManager, EventManagerBuilder, Overflow, Spool, Worker};

use crate::invalid::invalid;
use crate::registry::refuse_disabled;
use crate::{EventsConfig, Registry};

/// The name of the spool's stream, and of the one group that reads it.
#[cfg(feature = "sqlite")]
const SPOOL: &str = "spool";

/// Makes a manager that publishes by this configuration; with `enabled: false` one that does nothing, at no cost.
///
/// Returns without a connection: the manager connects on a thread of its own, for as long as it takes, so that a broker
/// that is away does not keep the service from starting. With `manager.overflow: spool` events wait in the file
/// `manager.spool.path`, which belongs to this one manager for as long as it runs. While another has it, as the process
/// before a restart may, this waits for at most `manager.spool.wait`.
///
/// # Errors
///
/// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) where the configuration is wrong or another manager, in this
/// process or another, goes on using the spool; or the error of opening the spool.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind but perhaps the spool's file.
pub async fn create_event_manager(config: &EventsConfig) -> Result<EventManager> {
    Registry::new().create_event_manager(config).await
}

/// Makes a worker, a member of the configured group, that has no handlers yet.
///
/// A broker that is away can be waited for with [`until_available`](events_runtime::until_available).
///
/// # Errors
///
/// As [`create_event_consumer`](crate::create_event_consumer).
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind but perhaps the group.
pub async fn create_event_worker(config: &EventsConfig) -> Result<Worker> {
    Registry::new().create_event_worker(config).await
}

/// Makes the broker's own store of the events the configured group has handled, each kept for `keep`, for
/// [`Deduplicate::with_store`](events_runtime::Deduplicate::with_store).
///
/// # Errors
///
/// [`Unsupported`](events_core::ErrorKind::Unsupported) where the backend has none (memory, SNS and SQS), otherwise as
/// [`create_event_consumer`](crate::create_event_consumer).
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn create_seen_store(config: &EventsConfig, keep: Duration) -> Result<Arc<dyn SeenStore>> {
    Registry::new().create_seen_store(config, keep).await
}

impl Registry {
    /// As [`create_seen_store`], with the backends of this registry.
    ///
    /// # Errors
    ///
    /// As [`create_seen_store`].
    ///
    /// # Cancel safety
    ///
    /// As [`create_seen_store`].
    pub async fn create_seen_store(
        &self,
        config: &EventsConfig,
        keep: Duration,
    ) -> Result<Arc<dyn SeenStore>> {
        refuse_disabled(config)?;
        let (backend, target) = self.resolve(config)?;
        backend.seen_store(&target, config.consumer_options()?.group(), keep).await
    }

    /// As [`create_event_manager`], with the backends of this registry.
    ///
    /// # Errors
    ///
    /// As [`create_event_manager`].
    ///
    /// # Cancel safety
    ///
    /// As [`create_event_manager`].
    pub async fn create_event_manager(&self, config: &EventsConfig) -> Result<EventManager> {
        if !config.enabled {
            return Ok(EventManager::disabled());
        }
        // What no waiting can mend is said now.
        self.backend_name(config)?;
        let (registry, settings) = (self.clone(), Arc::new(config.clone()));
        let connect = move || {
            let (registry, settings) = (registry.clone(), Arc::clone(&settings));
            async move { registry.create_event_publisher(&settings).await as Result<Arc<dyn EventPublisher>> }
        };
        let mut manager = self.measured(EventManager::connecting(connect, config.manager.clone()), config);
        if config.manager.overflow == Overflow::Spool {
            let path = config.manager.spool.path.as_deref().ok_or_else(|| {
                invalid(
                    "`manager.overflow: spool` needs `manager.spool.path`, a file that belongs to this process alone",
                )
            })?;
            manager = manager.with_spool(open_spool(path, config).await?);
        }
        manager.build()
    }

    /// As [`create_event_worker`], with the backends of this registry.
    ///
    /// # Errors
    ///
    /// As [`create_event_worker`].
    ///
    /// # Cancel safety
    ///
    /// As [`create_event_worker`].
    pub async fn create_event_worker(&self, config: &EventsConfig) -> Result<Worker> {
        let mut settings = config.worker.clone();
        // One setting of the lease counts for the consumer and for whoever extends it.
        if let Some(lease) = config.lease {
            settings.lease = lease;
        }
        let consumer = self.create_event_consumer(config).await?;
        Worker::new(consumer, settings)
    }
}

impl Registry {
    #[cfg(feature = "telemetry")]
    fn measured(&self, manager: EventManagerBuilder, config: &EventsConfig) -> EventManagerBuilder {
        let Some(mut meter) = self.measuring.manager(config) else { return manager };
        manager.with_observer(move |stats| {
            let now = events_telemetry::ManagerState {
                accepted: stats.accepted,
                queued: stats.waiting,
                spooled: stats.ever_spooled,
                spool_depth: stats.spooled,
            };
            meter.saw(now, stats.drops().map(|(reason, dropped)| (reason.as_str(), dropped)));
        })
    }

    #[cfg(not(feature = "telemetry"))]
    fn measured(&self, manager: EventManagerBuilder, _: &EventsConfig) -> EventManagerBuilder {
        manager
    }
}

/// The embedded backend as a spool: durable, in order, and there when no server is.
#[cfg(feature = "sqlite")]
async fn open_spool(path: &Path, config: &EventsConfig) -> Result<Spool> {
    use events_core::{ConsumerOptions, Error};
    use events_runtime::SpoolLock;
    use events_sqlite::{SqliteAdmin, SqliteConfig, SqliteConsumer, SqlitePublisher};

    // First, so that a second manager does not so much as touch the file.
    let lock = SpoolLock::wait(path, config.manager.spool.wait).await?;
    let mut settings = SqliteConfig::new(path);
    if let Some(limit) = config.max_event_bytes {
        settings.max_event_bytes = limit.get();
    }
    let options = ConsumerOptions::new(SPOOL).with_consumer_name(SPOOL);
    let opened = async {
        // As they will be published: what can be is never refused for the sake of the spool.
        let publisher = SqlitePublisher::open(&settings, SPOOL).await?.with_encoding(config.encoding);
        let consumer = SqliteConsumer::open(&settings, SPOOL, options).await?;
        let admin = SqliteAdmin::open(&settings, SPOOL).await?;
        Ok::<_, Error>(
            Spool::new(Arc::new(publisher), Box::new(consumer), Arc::new(admin), SPOOL).with_lock(lock),
        )
    };
    opened.await
}

#[cfg(not(feature = "sqlite"))]
async fn open_spool(_: &Path, _: &EventsConfig) -> Result<Spool> {
    Err(invalid("`manager.overflow: spool` needs the cargo feature `sqlite` of events-factory"))
}
