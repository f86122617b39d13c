//! One stream shared by everybody who uses it, with a bell that rings when it changes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::MemoryConfig;
use crate::stream::Stream;

#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) name: Arc<str>,
    pub(crate) config: Arc<MemoryConfig>,
    pub(crate) clock: Clock,
    stream: Mutex<Stream>,
    changed: Notify,
}

impl Cell {
    pub(crate) fn new(name: &str, config: Arc<MemoryConfig>, clock: Clock) -> Self {
        let name: Arc<str> = name.into();
        let stream = Mutex::new(Stream::new(Arc::clone(&name)));
        Self { name, config, clock, stream, changed: Notify::new() }
    }

    /// Looks at the stream.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Stream) -> T) -> T {
        // A panic elsewhere leaves at worst one event in the wrong place, never a stream nobody can use.
        look(&mut self.stream.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the stream and wakes everybody who waits for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Stream) -> T) -> T {
        let outcome = self.look(change);
        self.changed.notify_waiters();
        outcome
    }

    /// Completes at the next change after this call, even one before the first poll.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }
}

/// When a wait that begins now ends. One longer than any process lives is cut there, since an instant cannot hold it.
pub(crate) fn deadline(wait: Duration) -> Instant {
    const THIRTY_YEARS: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);
    Instant::now() + wait.min(THIRTY_YEARS)
}
