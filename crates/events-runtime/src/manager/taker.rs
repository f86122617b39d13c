//! Takes batches out of the queue.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use events_core::Event;
use tokio::time::timeout;

use super::config::ManagerConfig;
use super::queue::{Queue, Queued};
use super::shared::Shared;

/// For so long after the last event the thread looks by itself for the next one, so that a service that publishes now and
/// then does not pay for waking the thread each time.
const WAKEFUL: Duration = Duration::from_secs(1);

/// Why waiting for a batch ended.
#[derive(Debug)]
pub(crate) enum Taken {
    /// There is something in hand.
    Batch,
    /// Somebody said stop.
    Stopped,
    /// The manager is closed and nothing is left.
    Closed,
}

/// The one who takes, and what is in their hand.
#[derive(Debug)]
pub(crate) struct Taker {
    batch: usize,
    batch_delay: Duration,
    headers: BTreeMap<String, String>,
    /// What was taken and is not yet published, spooled or dropped, in order.
    pub(crate) in_hand: Vec<Event>,
}

impl Taker {
    pub(crate) fn new(config: &ManagerConfig) -> Self {
        Self {
            batch: config.batch.get(),
            batch_delay: config.batch_delay,
            headers: config.headers.clone(),
            in_hand: Vec::with_capacity(config.batch.get()),
        }
    }

    /// Waits for a batch, unless there is something in hand already. Who stops it has to nudge the queue besides.
    pub(crate) async fn take(&mut self, shared: &Shared, stop: &AtomicBool) -> Taken {
        while self.in_hand.is_empty() {
            let closing = shared.close_at.borrow().is_some();
            if stop.load(Ordering::SeqCst) {
                return Taken::Stopped;
            }
            if !closing {
                self.wait(&shared.queue).await;
            }
            self.take_now(shared);
            if closing && self.in_hand.is_empty() {
                return Taken::Closed;
            }
        }
        Taken::Batch
    }

    /// Waits for a batch to fill, but not for long once there is a first event.
    async fn wait(&self, queue: &Queue) {
        if self.batch_delay.is_zero() {
            return queue.filled().await;
        }
        if queue.is_empty() {
            let looks = WAKEFUL.div_duration_f64(self.batch_delay).ceil() as u32;
            for _ in 0..looks {
                if timeout(self.batch_delay, queue.batch_filled()).await.is_ok() || !queue.is_empty() {
                    return;
                }
            }
            queue.filled().await;
        }
        // Nobody nudged, or there is nothing yet: either way waiting a little more does no harm.
        drop(timeout(self.batch_delay, queue.batch_filled()).await);
    }

    /// Takes what there is, up to a batch.
    pub(crate) fn take_now(&mut self, shared: &Shared) {
        while self.in_hand.len() < self.batch {
            let Some(queued) = shared.queue.pop() else { break };
            self.in_hand.push(self.complete(queued));
        }
    }

    /// The event as it goes out, with the headers of its context.
    fn complete(&self, Queued { event, scope, context }: Queued) -> Event {
        if scope.is_none() && context.is_empty() && self.headers.is_empty() {
            return event;
        }
        let scoped = scope.iter().flat_map(|headers| headers.iter());
        let configured = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // The innermost knows best: the event's own headers, then the trace, then the scope, then the configuration.
        let headers = context.iter().chain(scoped).chain(configured);
        event.clone().with_missing_headers(headers).unwrap_or_else(|error| {
            tracing::warn!(%error, event_type = event.event_type(), "an event goes out without the headers of its context");
            event
        })
    }

    /// Nothing is in hand any more: whoever waits for the queue is told how far it is.
    pub(crate) fn settled(&self, shared: &Shared) {
        let popped = shared.queue.popped();
        shared.settled.send_if_modified(|settled| {
            let further = *settled < popped;
            *settled = popped.max(*settled);
            further
        });
    }
}
