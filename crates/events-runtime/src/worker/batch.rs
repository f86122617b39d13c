//! Handles whole batches, in order: for work whose cost is in the flush and not in the event.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Duration;

use events_core::{ConsumerOptions, Delivery, Error, ErrorKind, EventConsumer, Result};
use tokio::time::{Instant, sleep_until, timeout};

use super::config::LONGEST;
use super::intake::Intake;
use super::report::WorkerReport;
use super::settling::Settling;

/// How long the last acknowledgements may take to arrive, and then closing.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what is not reported as done is delivered again"]
pub struct BatchDone {
    /// How many of its events, from the first on, are done with. They are acknowledged; the others are given back.
    pub events: usize,
    /// How many of those count towards the [limit](BatchWorker::with_limit).
    pub counted: usize,
    /// Whether more may follow.
    pub then: ControlFlow<()>,
}

impl BatchDone {
    /// All of them are done with, and the next batch may come.
    pub fn all(batch: &[Delivery]) -> Self {
        Self { events: batch.len(), counted: batch.len(), then: ControlFlow::Continue(()) }
    }

    /// So many are done with, and no more can be: the output is closed.
    pub fn then_stop(events: usize) -> Self {
        Self { events, counted: events, then: ControlFlow::Break(()) }
    }

    /// Of those that are done with only so many count towards the limit: the others were passed over.
    pub fn counting(mut self, events: usize) -> Self {
        self.counted = events;
        self
    }
}

/// Hands events to one function, a batch at a time and in the order of the stream, and acknowledges a batch after the
/// function has returned. The function sees deliveries and cannot settle them: it has no value of one.
///
/// For work that is cheap for each event and dear for each flush, such as printing. While one batch is acknowledged the
/// next is received and handled. Leases are extended while the function works. Nothing is retried here and nothing is
/// dead-lettered: what the function does not report as done is given back.
#[derive(Debug)]
#[must_use = "a worker does nothing until it is run"]
pub struct BatchWorker {
    consumer: Box<dyn EventConsumer>,
    batch: NonZeroUsize,
    lease: Duration,
    limit: u64,
    drain: bool,
}

impl BatchWorker {
    /// A worker on batches of up to `batch` events.
    pub fn new(consumer: Box<dyn EventConsumer>, batch: NonZeroUsize) -> Self {
        Self { consumer, batch, lease: ConsumerOptions::DEFAULT_LEASE, limit: u64::MAX, drain: false }
    }

    /// The lease the consumer was opened with. Default: 60 s.
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Ends after this many events [count](BatchDone::counted), and takes no more than these at a time.
    pub fn with_limit(mut self, events: u64) -> Self {
        self.limit = events;
        self
    }

    /// Ends once the broker has nothing to give.
    pub fn until_drained(mut self) -> Self {
        self.drain = true;
        self
    }

    /// Works until `stop` completes, `handle` says so or fails, or there is nothing more to do. A batch that is being
    /// handled when `stop` completes is finished first; what is done is acknowledged before this returns.
    ///
    /// # Errors
    ///
    /// `handle`'s error, after its batch was given back, or that of the consumer when it fails for good.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `handle` where it waits; what is not acknowledged comes again when its lease ends.
    pub async fn run_until<E>(
        self,
        stop: impl Future<Output = ()> + Send,
        mut handle: impl AsyncFnMut(&[Delivery]) -> std::result::Result<BatchDone, E>,
    ) -> std::result::Result<WorkerReport, BatchError<E>> {
        let Self { mut consumer, batch, lease, limit, drain } = self;
        let mut report = WorkerReport::default();
        let mut settling = Settling::default();
        let (lease, extend) = (lease.min(LONGEST), consumer.capabilities().extend);
        let mut stop = std::pin::pin!(stop);
        let mut left = limit;
        let mut intake = Intake::new(drain, consumer.capabilities());
        let ended = loop {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(batch.get());
            // One batch may still be on its way to being acknowledged, so that neither waits for the other.
            let Some(most) = NonZeroUsize::new(most) else { break Ok(()) };
            let received = tokio::select! {
                biased;
                () = &mut stop => break Ok(()),
                received = receive(&mut *consumer, most, &intake, &mut settling, &mut report) => received,
            };
            let deliveries = match intake.look_at(received) {
                Ok(None) => continue,
                Ok(Some(deliveries)) if deliveries.is_empty() && drain => break Ok(()),
                Ok(Some(deliveries)) if deliveries.is_empty() => continue,
                Ok(Some(deliveries)) => deliveries,
                Err(error) => break Err(BatchError::Consumer(error)),
            };
            let handling = handle(&deliveries);
            let (handled, lease_end) =
                holding(&deliveries, lease, extend, handling, &mut settling, &mut report).await;
            let (done, counted, handled) = match handled {
                Ok(BatchDone { events, counted, then }) => (events.min(deliveries.len()), counted, Ok(then)),
                Err(error) => (0, 0, Err(error)),
            };
            left = left.saturating_sub(counted as u64);
            let mut deliveries = deliveries.into_iter();
            deliveries.by_ref().take(done).for_each(|delivery| settling.ack(delivery, lease_end));
            settling.release(deliveries.collect(), &mut report);
            settling.flush();
            match handled {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break Ok(()),
                Err(error) => break Err(BatchError::Handler(error)),
            }
        };
        let settled = async {
            settling.flush();
            while settling.len() > 0 {
                settling.ended(&mut report).await;
                settling.flush();
            }
        };
        if timeout(LAST_WORDS, settled).await.is_err() {
            tracing::warn!(
                events = settling.len(),
                "the broker was not told of all events in time; those come again"
            );
        }
        // Last, so that a consumer that leaves has nothing left that is its own.
        match timeout(LAST_WORDS, consumer.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the consumer did not close cleanly"),
            Err(_) => {
                tracing::warn!("the broker does not answer; what was fetched comes back with its leases");
            }
        }
        ended.map(|()| report)
    }
}

/// Receives the next batch while the one before is being acknowledged; waits for that first where it takes longer.
async fn receive(
    consumer: &mut dyn EventConsumer,
    most: NonZeroUsize,
    intake: &Intake,
    settling: &mut Settling,
    report: &mut WorkerReport,
) -> Result<Vec<Delivery>> {
    while settling.len() > most.get() {
        settling.ended(report).await;
        settling.flush();
    }
    let mut receiving = consumer.receive(most, intake.wait());
    loop {
        tokio::select! {
            biased;
            // First what is handled, so that it is on its way to being acknowledged before the next batch is handled.
            () = settling.ended(report) => settling.flush(),
            received = &mut receiving => return received,
        }
    }
}

/// Waits for a batch to be handled, extending its leases; says when they end.
async fn holding<T>(
    deliveries: &[Delivery],
    lease: Duration,
    extend: bool,
    handling: impl Future<Output = T>,
    settling: &mut Settling,
    report: &mut WorkerReport,
) -> (T, Instant) {
    let mut handling = std::pin::pin!(handling);
    let mut lease_end = Instant::now() + lease;
    loop {
        tokio::select! {
            biased;
            handled = &mut handling => return (handled, lease_end),
            () = settling.ended(report) => settling.flush(),
            () = sleep_until(lease_end - lease / 3 * 2), if extend => {
                settling.extend(deliveries, lease);
                lease_end = Instant::now() + lease;
            }
        }
    }
}

/// Why a [`BatchWorker`] ended early.
#[derive(Debug)]
pub enum BatchError<E> {
    /// The function failed.
    Handler(E),
    /// The consumer failed for good.
    Consumer(Error),
}

impl<E> BatchError<E> {
    /// The kind of the consumer's error, if it is one.
    pub fn consumer_kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Consumer(error) => Some(error.kind()),
            Self::Handler(_) => None,
        }
    }
}

impl<E> fmt::Display for BatchError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handler(_) => "events could not be handled",
            Self::Consumer(_) => "events could not be received",
        })
    }
}

impl<E: std::error::Error + 'static> std::error::Error for BatchError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Handler(error) => Some(error),
            Self::Consumer(error) => Some(error),
        }
    }
}
