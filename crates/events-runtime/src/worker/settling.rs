//! Tells the broker what became of the events, beside the handling of others.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use events_core::{AckReport, Delivery, Error, Result, ack_all, extend_all, release_all};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
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
    /// Under way whenever somebody waits for one of them to [end](Self::ended): a task for each would cost more than it
    /// does on most brokers. `None` comes of a call in which the backend panicked.
    calls: FuturesUnordered<BoxFuture<'static, Option<Ended>>>,
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
        self.call(ack(handled, lease_end));
    }

    /// Ends a delivery otherwise.
    pub(crate) fn end(&mut self, delivery: Delivery, ending: Ending, report: &mut WorkerReport) {
        self.unsettled += 1;
        match &ending {
            Ending::Retry(..) => report.failed += 1,
            Ending::DeadLetter(_) => report.dead_lettered += 1,
        }
        self.call(end(delivery, ending));
    }

    /// Gives deliveries back as if they had not been tried, in their order.
    pub(crate) fn release(&mut self, deliveries: Vec<Delivery>, report: &mut WorkerReport) {
        let count = deliveries.len();
        if count == 0 {
            return;
        }
        self.unsettled += count;
        report.released += count as u64;
        self.call(async move {
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
        self.call(async move {
            for error in extending.await.into_iter().filter_map(Result::err) {
                tracing::warn!(%error, "the lease of an event that is being handled could not be extended");
            }
            Ended::Extended
        });
    }

    fn call(&mut self, call: impl Future<Output = Ended> + Send + 'static) {
        self.calls.push(Box::pin(AssertUnwindSafe(call).catch_unwind().map(Result::ok)));
    }

    /// Sees to the calls until one ends; for ever when there is none.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn ended(&mut self, report: &mut WorkerReport) {
        match self.calls.next().await {
            Some(Some(Ended::Acked { acked, lost })) => {
                self.acking = false;
                self.unsettled = self.unsettled.saturating_sub(acked + lost);
                report.acked += acked as u64;
                report.unacked += lost as u64;
            }
            Some(Some(Ended::Settled(count))) => self.unsettled = self.unsettled.saturating_sub(count),
            Some(Some(Ended::Extended)) => {}
            // Its deliveries are dropped and come again.
            Some(None) => {
                tracing::error!("the backend panicked while events were settled");
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use events_core::{DeliveryParts, ErrorKind, Event, Receipt, Settlement, Settler, async_trait};

    /// Cannot be reached for the first so many calls.
    #[derive(Debug)]
    struct AwayFor(AtomicUsize);

    #[async_trait]
    impl Settler for AwayFor {
        async fn settle(&self, receipts: &[Receipt], _: &Settlement) -> Vec<Result<()>> {
            let away =
                self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            let outcome =
                || if away { Err(Error::new(ErrorKind::Unavailable, "settle", "away")) } else { Ok(()) };
            receipts.iter().map(|_| outcome()).collect()
        }

        async fn extend(&self, receipts: &[Receipt], _: Duration) -> Vec<Result<()>> {
            receipts.iter().map(|_| Ok(())).collect()
        }

        fn abandon(&self, _: &Receipt) {}
    }

    async fn acknowledged(away_for: usize, lease: Duration) -> WorkerReport {
        let settler: Arc<dyn Settler> = Arc::new(AwayFor(AtomicUsize::new(away_for)));
        let (mut settling, mut report) = (Settling::default(), WorkerReport::default());
        for id in ["1", "2"] {
            let delivery = Delivery::new(DeliveryParts {
                event: Event::builder("a.b", "s").build().unwrap(),
                receipt: Receipt { message_id: id.into(), attempt: 1, handle: None },
                stream: "s".into(),
                published_at: None,
                settler: Arc::clone(&settler),
            });
            settling.ack(delivery, Instant::now() + lease);
        }
        settling.flush();
        while settling.len() > 0 {
            settling.ended(&mut report).await;
        }
        report
    }

    #[tokio::test]
    async fn an_acknowledgement_is_repeated_while_the_lease_lasts() {
        let report = acknowledged(2, Duration::from_secs(60)).await;
        assert_eq!((report.acked, report.unacked), (2, 0));
    }

    #[tokio::test]
    async fn what_cannot_be_acknowledged_within_the_lease_comes_again() {
        let report = acknowledged(usize::MAX, Duration::from_millis(200)).await;
        assert_eq!((report.acked, report.unacked), (0, 2));
    }
}
