//! Tells the broker what became of the events, beside the handling of others.

use std::time::Duration;

use events_core::{AckReport, Delivery, Error, Result, ack_all, extend_all, release_all};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::failure::Failure;
use super::report::WorkerReport;
use crate::backoff::Backoff;

/// The first pause before an acknowledgement is sent again.
const RETRY_INITIAL: Duration = Duration::from_millis(50);
/// The longest.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// How a delivery that is not acknowledged ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// To be tried again after the pause.
    Retry(Failure, Duration),
    /// Never again.
    DeadLetter(Failure),
}

/// One call to the broker that has ended.
#[derive(Debug)]
enum Ended {
    Acked { acked: usize, lost: usize },
    Settled(usize),
    Extended,
}

#[derive(Debug, Default)]
pub(crate) struct Settling {
    handled: Vec<Delivery>,
    /// When the lease of the first of them ends; each further one ends later.
    lease_end: Option<Instant>,
    calls: JoinSet<Ended>,
    acking: bool,
    /// Deliveries that are handed over and not yet settled.
    unsettled: usize,
}

impl Settling {
    /// How many deliveries are on their way.
    pub(crate) fn len(&self) -> usize {
        self.unsettled
    }

    /// The event is handled; it is acknowledged with the next batch.
    pub(crate) fn ack(&mut self, delivery: Delivery, lease_end: Instant) {
        self.unsettled += 1;
        self.lease_end = Some(self.lease_end.map_or(lease_end, |end| end.min(lease_end)));
        self.handled.push(delivery);
    }

    /// Sends what is to be acknowledged, unless the batch before is still on its way: what is handled meanwhile shares the
    /// next call.
    pub(crate) fn flush(&mut self) {
        if self.acking || self.handled.is_empty() {
            return;
        }
        let handled = std::mem::take(&mut self.handled);
        let lease_end = self.lease_end.take().unwrap_or_else(Instant::now);
        self.acking = true;
        self.calls.spawn(ack(handled, lease_end));
    }

    /// Ends a delivery otherwise.
    pub(crate) fn end(&mut self, delivery: Delivery, ending: Ending, report: &mut WorkerReport) {
        self.unsettled += 1;
        match &ending {
            Ending::Retry(..) => report.failed += 1,
            Ending::DeadLetter(_) => report.dead_lettered += 1,
        }
        self.calls.spawn(end(delivery, ending));
    }

    /// Gives deliveries back as if they had not been tried, in their order.
    pub(crate) fn release(&mut self, deliveries: Vec<Delivery>, report: &mut WorkerReport) {
        let count = deliveries.len();
        if count == 0 {
            return;
        }
        self.unsettled += count;
        report.released += count as u64;
        self.calls.spawn(async move {
            let failed = release_all(deliveries).await;
            if let Some((_, error)) = failed.first() {
                tracing::warn!(%error, events = failed.len(), "events could not be given back; they come again when their leases end");
            }
            Ended::Settled(count)
        });
    }

    /// Lets the leases of these end later.
    pub(crate) fn extend<'d>(&mut self, deliveries: impl IntoIterator<Item = &'d Delivery>, lease: Duration) {
        let extending = extend_all(deliveries, lease);
        self.calls.spawn(async move {
            for error in extending.await.into_iter().filter_map(Result::err) {
                tracing::warn!(%error, "the lease of an event that is being handled could not be extended");
            }
            Ended::Extended
        });
    }

    /// Waits for a call to end; for ever when none is on its way.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn ended(&mut self, report: &mut WorkerReport) {
        match self.calls.join_next().await {
            Some(Ok(Ended::Acked { acked, lost })) => {
                self.acking = false;
                self.unsettled -= acked + lost;
                report.acked += acked as u64;
                report.unacked += lost as u64;
            }
            Some(Ok(Ended::Settled(count))) => self.unsettled -= count,
            Some(Ok(Ended::Extended)) => {}
            // A backend panicked; its deliveries are dropped and come again.
            Some(Err(error)) => {
                tracing::error!(%error, "settling failed");
                (self.acking, self.unsettled) = (false, self.handled.len());
            }
            None => std::future::pending().await,
        }
    }
}

/// Acknowledges deliveries, and does so again while that fails and their leases last.
async fn ack(deliveries: Vec<Delivery>, lease_end: Instant) -> Ended {
    let all = deliveries.len();
    let mut left = deliveries;
    let mut acked = 0;
    let mut backoff = Backoff::new(RETRY_INITIAL, RETRY_MAX);
    loop {
        let AckReport { acked: now, failed } = ack_all(left).await;
        acked += now;
        let Some((_, error)) = failed.first() else { break };
        let pause = backoff.next();
        if !error.is_transient() || Instant::now() + pause >= lease_end {
            tracing::warn!(%error, events = failed.len(), "handled events could not be acknowledged and come again");
            break;
        }
        left = failed.into_iter().map(|(delivery, _)| delivery).collect();
        tokio::time::sleep(pause).await;
    }
    Ended::Acked { acked, lost: all - acked }
}

async fn end(delivery: Delivery, ending: Ending) -> Ended {
    let (event_type, event_id) =
        (delivery.event().event_type().to_owned(), delivery.event().id().map(str::to_owned));
    let event_id = event_id.unwrap_or_default();
    let attempt = delivery.attempt();
    let ended: Result<(), Error> = match ending {
        Ending::Retry(failure, pause) => {
            let error = failure.in_words();
            tracing::warn!(event_type, event_id, attempt, ?pause, error, "handling an event failed");
            delivery.fail(error, pause).await
        }
        Ending::DeadLetter(failure) => {
            let error = failure.in_words();
            tracing::error!(event_type, event_id, attempt, error, "an event is dead-lettered");
            delivery.reject(error).await
        }
    };
    if let Err(error) = ended {
        tracing::warn!(%error, event_type, event_id, "the broker could not be told what became of an event; it comes again");
    }
    Ended::Settled(1)
}
