//! `Outlet`: adds entries to a stream, and sees to it that they are added once and confirmed where that was asked for.

use std::time::Duration;

use events_core::MessageId;
use tokio::sync::Mutex;
use tracing::warn;

use crate::RedisConfig;
use crate::client::{CommandError, Confirmation, Line, NewEntry, StreamClient};

/// Adds entries to a stream.
#[derive(Debug)]
pub(crate) struct Outlet {
    client: StreamClient,
    producer: Option<String>,
    confirmation: Option<Confirmation>,
    /// The connection for which the server was found to do what is asked of it.
    prepared: Mutex<Option<u64>>,
    patience: Duration,
}

impl Outlet {
    pub(crate) fn new(client: StreamClient, config: &RedisConfig) -> Self {
        let confirmation = Confirmation::of(config);
        let confirming = confirmation.as_ref().map_or(Duration::ZERO, |_| config.wait_timeout);
        Self {
            client,
            producer: config.producer_id.clone(),
            confirmation,
            prepared: Mutex::new(None),
            patience: config.command_timeout + confirming,
        }
    }

    pub(crate) fn client(&self) -> &StreamClient {
        &self.client
    }

    /// Whether the server is to remember what it adds.
    pub(crate) fn remembers(&self) -> bool {
        self.producer.is_some()
    }

    /// How long adding may take.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Makes sure, once per connection, that the server does what the configuration asks for.
    ///
    /// # Errors
    ///
    /// Why it does not. Nothing was added then.
    pub(crate) async fn prepare(&self) -> Result<(), CommandError> {
        if self.producer.is_none() && self.confirmation.is_none() {
            return Ok(());
        }
        // Boxed, since every publish has room for this and few need it.
        Box::pin(self.prepare_connection()).await
    }

    async fn prepare_connection(&self) -> Result<(), CommandError> {
        let mut prepared = self.prepared.lock().await;
        let connection = self.client.begin();
        if *prepared == Some(connection) {
            return Ok(());
        }
        if let Some(confirmation) = &self.confirmation {
            self.client.check_confirmation(confirmation).await?;
        }
        if let Some(producer) = &self.producer {
            if self.client.features().await.idempotent {
                self.client.widen_memory().await;
            } else {
                let stream = self.client.stream_key().as_ref();
                warn!(
                    stream,
                    producer, "the server does not remember what was published; a retry may add it again"
                );
            }
        }
        *prepared = Some(connection);
        Ok(())
    }

    /// A way to the server, to be gone at once; see [`Line`].
    ///
    /// # Errors
    ///
    /// There is no connection for as long as a command may take.
    pub(crate) async fn line(&self) -> Result<Line<'_>, CommandError> {
        self.client.line(self.producer.as_deref()).await
    }

    /// Adds entries in order and says of each what became of it.
    pub(crate) async fn add(
        &self,
        line: Line<'_>,
        batch: Vec<NewEntry>,
    ) -> Vec<Result<MessageId, CommandError>> {
        let connection = self.client.begin();
        let mut added = line.add_many(batch).await;
        if let Some(confirmation) = &self.confirmation
            && added.iter().any(Result::is_ok)
            && let Err(error) = self.client.confirm(confirmation, connection).await
        {
            let accepted = added.iter_mut().filter(|outcome| outcome.is_ok());
            accepted.for_each(|outcome| *outcome = Err(error.clone()));
        }
        added
    }
}
