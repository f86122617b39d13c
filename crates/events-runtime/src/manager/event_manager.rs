//! The handle business code publishes through.

use std::fmt;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use events_core::{Event, EventPublisher, Result};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::builder::EventManagerBuilder;
use super::config::ManagerConfig;
use super::connection::Connection;
use super::request::Request;
use super::shared::Shared;
use super::stats::ManagerStats;

/// Publishes events without ever holding up, failing or stopping the code that has something to tell.
///
/// [`publish`](Self::publish) puts an event into a bounded queue and returns; a thread of the manager's own, with a small
/// runtime of its own, takes batches out and sees them through. So it makes no difference whether the caller is async, a
/// plain thread, or a runtime that is busy or ending.
///
/// Clones are handles of the same manager. When the last one is dropped, what is queued gets
/// [`drop_timeout`](ManagerConfig::drop_timeout) to go out; [`close`](Self::close) says what became of it.
#[derive(Clone)]
pub struct EventManager {
    /// `None` for a manager that does nothing.
    handle: Option<Arc<Handle>>,
}

impl EventManager {
    /// A manager that publishes through `publisher`.
    ///
    /// # Errors
    ///
    /// As [`EventManagerBuilder::build`].
    pub fn new(publisher: Arc<dyn EventPublisher>, config: ManagerConfig) -> Result<Self> {
        Self::builder(publisher, config).build()
    }

    /// A builder for a manager that publishes through `publisher`.
    pub fn builder(publisher: Arc<dyn EventPublisher>, config: ManagerConfig) -> EventManagerBuilder {
        EventManagerBuilder::new(Connection::open(publisher), config)
    }

    /// A builder for a manager that connects in the background, for as long as it takes, so that a broker that is away does
    /// not keep the service from starting. `connect` runs on the manager's thread.
    pub fn connecting<F, Fut>(connect: F, config: ManagerConfig) -> EventManagerBuilder
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Arc<dyn EventPublisher>>> + Send + 'static,
    {
        EventManagerBuilder::lazy(connect, config)
    }

    /// A manager that does nothing, for services whose events are switched off. It has no thread and no queue, and counts
    /// nothing.
    pub fn disabled() -> Self {
        Self { handle: None }
    }

    pub(crate) fn running(handle: Handle) -> Self {
        Self { handle: Some(Arc::new(handle)) }
    }

    /// Hands an event over. Returns at once, allocates nothing but what the headers of a context take, and never panics.
    ///
    /// What becomes of the event is in [`stats`](Self::stats); an event that is dropped is logged with its type and id, at
    /// a bounded rate. Publishing on a closed manager drops the event.
    pub fn publish(&self, event: Event) {
        if let Some(handle) = &self.handle {
            handle.shared.publish(event);
        }
    }

    /// What became of the events so far.
    pub fn stats(&self) -> ManagerStats {
        self.handle.as_ref().map_or_else(ManagerStats::default, |handle| handle.shared.counters.stats())
    }

    /// Waits, for at most `deadline`, until every event that was published before is out of memory, and says how things
    /// stand. Works on any executor.
    ///
    /// # Errors
    ///
    /// None: what is not done within the deadline is [`waiting`](ManagerStats::waiting).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn flush(&self, deadline: Duration) -> ManagerStats {
        self.ask(deadline, false).await
    }

    /// Takes no more events, waits for at most `deadline` until those it has are out of memory, and says how things stand.
    ///
    /// What is left at the deadline is spooled, where there is a spool, and otherwise dropped. A publish that was under way
    /// then may have been accepted all the same. A spool is emptied as far as the broker takes its events within the
    /// deadline. Closing twice is fine.
    ///
    /// # Errors
    ///
    /// None: everything is in the answer.
    ///
    /// # Cancel safety
    ///
    /// The manager counts as closed from the first poll on; closing again waits for the rest.
    pub async fn close(&self, deadline: Duration) -> ManagerStats {
        self.ask(deadline, true).await
    }

    /// As [`flush`](Self::flush), for plain threads. It blocks the thread, as every such call does.
    pub fn flush_blocking(&self, deadline: Duration) -> ManagerStats {
        self.ask_blocking(deadline, false)
    }

    /// As [`close`](Self::close), for plain threads. It blocks the thread, as every such call does.
    pub fn close_blocking(&self, deadline: Duration) -> ManagerStats {
        self.ask_blocking(deadline, true)
    }

    async fn ask(&self, deadline: Duration, close: bool) -> ManagerStats {
        if let Some(handle) = &self.handle {
            let (reply, answered) = oneshot::channel();
            let reply = Box::new(move |stats| {
                reply.send(stats).ok();
            });
            handle.requests.send(Request { deadline, close, reply }).ok();
            if let Ok(stats) = answered.await {
                return stats;
            }
        }
        // The thread has ended, so the counters do not change any more.
        self.stats()
    }

    fn ask_blocking(&self, deadline: Duration, close: bool) -> ManagerStats {
        self.handle
            .as_ref()
            .and_then(|handle| handle.ask_blocking(deadline, close))
            .unwrap_or_else(|| self.stats())
    }
}

impl fmt::Debug for EventManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventManager")
            .field("enabled", &self.handle.is_some())
            .field("stats", &self.stats())
            .finish()
    }
}

/// What the clones of a manager share; the manager closes when it is dropped.
pub(crate) struct Handle {
    shared: Arc<Shared>,
    requests: UnboundedSender<Request>,
    drop_timeout: Duration,
}

impl Handle {
    pub(crate) fn new(
        shared: Arc<Shared>,
        requests: UnboundedSender<Request>,
        drop_timeout: Duration,
    ) -> Self {
        Self { shared, requests, drop_timeout }
    }

    fn ask_blocking(&self, deadline: Duration, close: bool) -> Option<ManagerStats> {
        let (reply, answered) = mpsc::sync_channel(1);
        let reply = Box::new(move |stats| {
            reply.send(stats).ok();
        });
        self.requests.send(Request { deadline, close, reply }).ok()?;
        answered.recv().ok()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Asked even when there is nothing to wait for: it is what ends the thread.
        let (reply, answered) = mpsc::sync_channel(1);
        let reply = Box::new(move |stats| {
            reply.send(stats).ok();
        });
        let request = Request { deadline: self.drop_timeout, close: true, reply };
        if self.requests.send(request).is_err() || self.drop_timeout.is_zero() {
            return;
        }
        // The thread has a last look at the spool after the deadline; a process that ends should not wait for that too.
        if let Ok(stats) = answered.recv_timeout(self.drop_timeout.saturating_mul(2))
            && stats.dropped_total() + stats.waiting > 0
        {
            tracing::debug!(?stats, "the event manager is closed");
        }
    }
}
