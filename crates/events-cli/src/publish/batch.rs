//! A batch on its way: what failed for a reason that passes is published again, until the time is over.

use std::time::Duration;

use events_core::{Error, ErrorKind, Event, EventPublisher, Result};
use events_terminal::Shutdown;

use super::tally::{Origin, Tally};
use crate::retry::Tries;

/// Events that are published together, each with where it came from.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    origins: Vec<Origin>,
    events: Vec<Event>,
}

impl Batch {
    pub(crate) fn push(&mut self, origin: Origin, event: Event) {
        self.origins.push(origin);
        self.events.push(event);
    }

    /// Publishes every event or says why not; `false` when the broker was away for too long, so that there is no point in
    /// going on.
    ///
    /// An event whose outcome a lost connection hid may be published twice, under the same id.
    pub(crate) async fn publish(
        mut self,
        publisher: &dyn EventPublisher,
        timeout: Duration,
        tally: &mut Tally,
        shutdown: &mut Shutdown,
    ) -> Result<bool> {
        let mut tries = Tries::within(timeout);
        let mut mentioned = false;
        while !self.events.is_empty() {
            let report = match tries.bound(publisher.publish_batch(&self.events)).await {
                Err(error) if error.is_transient() => {
                    tally.gave_up(&self.origins, &error);
                    return Ok(false);
                }
                report => report?,
            };
            let mut outcomes = report.into_outcomes().into_iter();
            let mut again = Self::default();
            let mut last_error = None;
            for (origin, event) in self.origins.into_iter().zip(self.events) {
                match outcomes.next().unwrap_or_else(|| Err(no_outcome())) {
                    Ok(id) => tally.published(&id),
                    Err(error) if error.is_transient() => {
                        again.push(origin, event);
                        last_error = Some(error);
                    }
                    Err(error) => tally.failed(&origin, &error),
                }
            }
            self = again;
            let Some(error) = last_error else { break };
            if !mentioned {
                tracing::warn!("{error}; trying again for up to {timeout:?}");
                mentioned = true;
            }
            if !tries.next(shutdown).await {
                tally.gave_up(&self.origins, &error);
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn no_outcome() -> Error {
    Error::new(ErrorKind::Backend, "publish", "the backend reported no outcome for the event")
}
