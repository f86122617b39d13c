//! A look at a stream from outside, for the verbs that take no part in it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use events_core::EventAdmin;
use events_factory::create_event_admin;
use events_terminal::{ConnectionArgs, Shutdown};

use crate::retry::within;

/// How long the broker may be away before a verb gives up. Whoever sits at a terminal can start it again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The stream the flags, the environment and the file lead to.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) admin: Arc<dyn EventAdmin>,
    /// Its name, for messages.
    pub(crate) key: String,
}

impl Stream {
    pub(crate) async fn open(connection: &ConnectionArgs, shutdown: &mut Shutdown) -> Result<Self> {
        let config = connection.loader().load()?.into_config();
        let admin = within(PATIENCE, shutdown, || create_event_admin(&config)).await?;
        Ok(Self { admin, key: config.stream_key })
    }

    /// Lets go of the stream, whatever came of the work.
    pub(crate) async fn close_after<T: Send>(self, work: Result<T>) -> Result<T> {
        let closed = self.admin.close().await;
        let done = work?;
        closed?;
        Ok(done)
    }
}

/// Makes a call, again and again while the broker is away, for as long as is reasonable.
pub(crate) async fn ask<T: Send, F: Future<Output = events_core::Result<T>> + Send>(
    shutdown: &mut Shutdown,
    call: impl Fn() -> F + Send,
) -> Result<T> {
    Ok(within(PATIENCE, shutdown, call).await?)
}
