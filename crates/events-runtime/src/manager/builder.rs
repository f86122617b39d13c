//! Puts a manager together.

use std::fmt;
use std::sync::Arc;
use std::thread;

use events_core::{Error, ErrorKind, EventPublisher, Result};
use tokio::sync::mpsc;

use super::config::{ManagerConfig, Overflow};
use super::connection::{Connection, Connector};
use super::context::ContextSource;
use super::event_manager::{EventManager, Handle};
use super::observer::{self, Observe, Observer};
use super::queue::Queue;
use super::request;
use super::sender::Sender;
use super::shared::Shared;
use super::spool::Spool;
use super::stats::ManagerStats;

/// Collects what an [`EventManager`] is made of; start one with [`EventManager::builder`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct EventManagerBuilder {
    config: ManagerConfig,
    connection: Connection,
    spool: Option<Spool>,
    source: Option<Arc<dyn ContextSource>>,
    observe: Option<Observe>,
}

impl fmt::Debug for EventManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventManagerBuilder")
            .field("config", &self.config)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

impl EventManagerBuilder {
    pub(crate) fn new(connection: Connection, config: ManagerConfig) -> Self {
        Self { config, connection, spool: None, source: None, observe: None }
    }

    pub(crate) fn lazy<F, Fut>(connect: F, config: ManagerConfig) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Arc<dyn EventPublisher>>> + Send + 'static,
    {
        let connector: Connector = Box::new(move || Box::pin(connect()));
        Self::new(Connection::lazy(connector), config)
    }

    /// Where events wait while the broker is away; needed for, and used only with, [`Overflow::Spool`].
    pub fn with_spool(mut self, spool: Spool) -> Self {
        self.spool = Some(spool);
        self
    }

    /// Asks `source` for headers whenever an event is published. Default: nobody is asked.
    pub fn with_context(mut self, source: impl ContextSource) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Tells `observe` every second how things stand, whenever somebody is answered who flushes or closes the manager, and
    /// when the manager has ended: for metrics, at no cost for whoever publishes. Default: nobody is told.
    ///
    /// It is called on the manager's thread, and for what is published after the manager has ended on the publishing one, so
    /// it returns at once.
    pub fn with_observer(mut self, observe: impl FnMut(&ManagerStats) + Send + 'static) -> Self {
        self.observe = Some(Box::new(observe));
        self
    }

    /// Starts the manager with a thread of its own; needs no runtime and waits for no connection.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for settings that cannot work and for [`Overflow::Spool`] without a
    /// spool; [`Backend`](ErrorKind::Backend) when the system grants no thread.
    pub fn build(self) -> Result<EventManager> {
        let Self { config, connection, spool, source, observe } = self;
        config.validate()?;
        if config.overflow == Overflow::Spool && spool.is_none() {
            let message = "`overflow: spool` needs a spool";
            return Err(Error::new(ErrorKind::InvalidConfig, "manager settings", message));
        }
        let queue = Queue::new(config.queue.get(), config.batch.get());
        let shared = Arc::new(Shared::new(queue, config.overflow, source, Observer::new(observe)));
        let drop_timeout = config.drop_timeout;
        let sender = Sender::new(config, Arc::clone(&shared), connection, spool);
        let (requests, received) = mpsc::unbounded_channel();
        let guard = Finish(Arc::clone(&shared));
        thread::Builder::new()
            .name("events-publisher".to_owned())
            .spawn(move || {
                let shared = Arc::clone(&guard.0);
                let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        return tracing::error!(%error, "no event can be published: there is no runtime");
                    }
                };
                runtime.block_on(async move {
                    tokio::spawn(request::answer(received, Arc::clone(&shared)));
                    tokio::select! {
                        () = sender.run() => {}
                        () = observer::keep_telling(&shared) => {}
                    }
                    // The answers to those who closed the manager are on their way in tasks of this runtime.
                    tokio::task::yield_now().await;
                });
                drop(guard);
            })
            .map_err(|error| {
                Error::new(ErrorKind::Backend, "start publishing thread", "the system grants no thread")
                    .with_source(error)
            })?;
        Ok(EventManager::running(Handle::new(shared, requests, drop_timeout)))
    }
}

/// However the sending thread ends, whoever publishes afterwards is told the truth: dropped, because closed.
struct Finish(Arc<Shared>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.finish();
    }
}
