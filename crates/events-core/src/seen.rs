//! What was handled, kept for longer than a process lives.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::Result;

/// Where the ids of handled events are kept for longer than a process lives: with the broker, where the backend has one, or in
/// a table of the service's own. An id is kept for a while after the event was handled, and only then.
///
/// It makes repetitions rarer, not impossible: a process that dies between handling an event and remembering it handles it
/// again. A handler that writes to a database keeps the id in the same transaction instead.
#[async_trait]
pub trait SeenStore: Debug + Send + Sync + 'static {
    /// Whether an event of this id was handled.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked; the event counts as failed, and is tried again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    async fn is_seen(&self, id: &str) -> Result<bool>;

    /// Remembers that an event of this id was handled.
    ///
    /// # Errors
    ///
    /// When the store cannot be told; that is logged, and the event is acknowledged all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether the id is remembered.
    async fn remember(&self, id: &str) -> Result<()>;
}
