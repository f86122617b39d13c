//! Counts how deliveries end, and times how long they were in somebody's hands.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use events_core::{MessageId, Receipt, Result, Settlement, Settler, async_trait};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::metric::{
    ACKED, HANDLE_DURATION, IN_FLIGHT, NACKED, RECEIVED, REDELIVERED, RELEASED, SETTLE_FAILED,
};

/// What one consumer's deliveries are counted in.
pub(crate) struct Meters {
    pub(crate) received: Counter,
    pub(crate) redelivered: Counter,
    acked: Counter,
    nacked: Counter,
    released: Counter,
    settle_failed: Counter,
    duration: Histogram,
    in_flight: Gauge,
    /// When each delivery that has not ended was handed out.
    open: Mutex<HashMap<(MessageId, u32), Instant>>,
}

impl Meters {
    pub(crate) fn new(stream: &str, group: &str) -> Self {
        let labels = [("stream", stream.to_owned()), ("group", group.to_owned())];
        Self {
            received: counter!(RECEIVED, &labels),
            redelivered: counter!(REDELIVERED, &labels),
            acked: counter!(ACKED, &labels),
            nacked: counter!(NACKED, &labels),
            released: counter!(RELEASED, &labels),
            settle_failed: counter!(SETTLE_FAILED, &labels),
            duration: histogram!(HANDLE_DURATION, &labels),
            in_flight: gauge!(IN_FLIGHT, &labels),
            open: Mutex::default(),
        }
    }

    /// A delivery is handed out.
    pub(crate) fn opened(&self, message_id: &MessageId, attempt: u32) {
        self.received.increment(1);
        if attempt > 1 {
            self.redelivered.increment(1);
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.insert((message_id.clone(), attempt), Instant::now()).is_none() {
            self.in_flight.increment(1.0);
        }
    }

    /// A delivery is in nobody's hands any more; returns how long it was, if it was not before.
    fn closed(&self, receipt: &Receipt) -> Option<Duration> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let since = open.remove(&(receipt.message_id.clone(), receipt.attempt))?;
        self.in_flight.decrement(1.0);
        Some(since.elapsed())
    }

    fn settled(&self, receipt: &Receipt, settlement: &Settlement) {
        if let Some(held) = self.closed(receipt) {
            self.duration.record(held);
        }
        match settlement {
            Settlement::Ack => self.acked.increment(1),
            Settlement::Nack { .. } => self.nacked.increment(1),
            // Counted where the event becomes a dead letter.
            Settlement::Reject { .. } => {}
            // Released, or an end that is not known here yet: given back.
            _ => self.released.increment(1),
        }
    }
}

/// Stands in front of a backend's settler.
pub(crate) struct MeasuredSettler {
    pub(crate) inner: Arc<dyn Settler>,
    pub(crate) meters: Arc<Meters>,
}

impl fmt::Debug for MeasuredSettler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeasuredSettler").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl Settler for MeasuredSettler {
    async fn settle(&self, receipts: &[Receipt], settlement: &Settlement) -> Vec<Result<()>> {
        let outcomes = self.inner.settle(receipts, settlement).await;
        for (receipt, outcome) in receipts.iter().zip(&outcomes) {
            match outcome {
                Ok(()) => self.meters.settled(receipt, settlement),
                // It is still in its holder's hands, who may try again.
                Err(_) => self.meters.settle_failed.increment(1),
            }
        }
        outcomes
    }

    async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<()>> {
        self.inner.extend(receipts, lease).await
    }

    fn abandon(&self, receipt: &Receipt) {
        self.meters.closed(receipt);
        self.inner.abandon(receipt);
    }
}
