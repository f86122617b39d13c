//! The broker as the sending thread sees it: connected or not, it takes events or does not.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use events_core::{Error, ErrorKind, Event, EventPublisher, Result};
use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::shared::Shared;
use super::stats::DropReason;
use crate::outage::Outage;

/// Makes a publisher; called again until it succeeds.
pub(crate) type Connector =
    Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn EventPublisher>>> + Send + Sync>;

/// What cannot be done during an outage.
const AWAY: &str = "events cannot be published";

/// How long letting go of the connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct Connection {
    publisher: Option<Arc<dyn EventPublisher>>,
    connector: Option<Connector>,
    outage: Outage,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("publisher", &self.publisher).finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn open(publisher: Arc<dyn EventPublisher>) -> Self {
        Self { publisher: Some(publisher), connector: None, outage: Outage::of(AWAY) }
    }

    pub(crate) fn lazy(connector: Connector) -> Self {
        Self { publisher: None, connector: Some(connector), outage: Outage::of(AWAY) }
    }

    /// Publishes what it can and leaves in `events` what is worth another attempt.
    ///
    /// With `keep` that includes what the broker refuses for a reason somebody may correct, such as a missing permission;
    /// without, such events are dropped. An event the broker will never take is dropped either way.
    pub(crate) async fn publish(
        &mut self,
        events: &mut Vec<Event>,
        within: Duration,
        keep: bool,
        shared: &Shared,
    ) {
        let outcomes = match timeout(within, self.try_publish(events)).await {
            Ok(Ok(outcomes)) => outcomes,
            Ok(Err(error)) => {
                self.outage.goes_on(&error);
                // Nothing was sent, so the call as a whole decides for each of them.
                if !worth_another_attempt(&error, keep) {
                    events.drain(..).for_each(|event| shared.dropped(&event, DropReason::Refused));
                }
                return;
            }
            Err(_) => {
                return self.outage.goes_on(&Error::new(
                    ErrorKind::Timeout,
                    "publish",
                    format!("no answer in {within:?}"),
                ));
            }
        };
        let mut published = 0;
        let mut outcomes = outcomes.into_iter();
        let mut failure = None;
        events.retain(|event| match outcomes.next() {
            Some(Ok(_)) => {
                published += 1;
                false
            }
            Some(Err(error)) => {
                let again = worth_another_attempt(&error, keep);
                if !again {
                    shared.dropped(event, DropReason::Refused);
                }
                failure.get_or_insert(error);
                again
            }
            None => true,
        });
        shared.counters.published.fetch_add(published, Ordering::Relaxed);
        match failure {
            Some(error) => self.outage.goes_on(&error),
            None => self.outage.is_over(),
        }
    }

    async fn try_publish(&mut self, events: &[Event]) -> Result<Vec<Result<events_core::MessageId>>> {
        if self.publisher.is_none()
            && let Some(connect) = &self.connector
        {
            // Whatever keeps the connection from being made, the service runs on and it is tried again.
            let connected = connect().await.map_err(|error| error.with_transient(true))?;
            self.publisher = Some(connected);
        }
        let Some(publisher) = &self.publisher else { return Err(Error::closed("publish")) };
        Ok(publisher.publish_batch(events).await?.into_outcomes())
    }

    pub(crate) async fn close(&mut self) {
        let Some(publisher) = self.publisher.take() else { return };
        match timeout(CLOSE_TIMEOUT, publisher.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the publisher did not close cleanly"),
            Err(_) => tracing::warn!("the publisher did not close within {CLOSE_TIMEOUT:?}"),
        }
    }
}

/// Whether an event that met this error may be accepted later.
fn worth_another_attempt(error: &Error, keep: bool) -> bool {
    let correctable = matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::NotFound | ErrorKind::InvalidConfig | ErrorKind::Closed
    );
    error.is_transient() || (keep && correctable)
}
