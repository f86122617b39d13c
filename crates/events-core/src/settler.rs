//! The driver's side of settling: what a backend implements, in batches.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::{MessageId, Result};

/// What a backend needs to find one delivery again.
///
/// A backend compares `attempt` (and `handle`, where it gave one) with the broker's state, so that a holder whose lease
/// has ended cannot disturb the holder after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The event's id at the broker.
    pub message_id: MessageId,
    /// The delivery's number, from 1.
    pub attempt: u32,
    /// A broker's own handle for the delivery, where the id is not enough.
    pub handle: Option<Box<str>>,
}

/// How a delivery ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// Done: the group never sees the event again.
    Ack,
    /// Failed: deliver again after `delay`, or dead-letter when this was the last attempt.
    Nack {
        /// How long to hide the event; zero for at once.
        delay: Duration,
        /// Why the attempt failed; kept with the dead letter when this was the last attempt.
        error: Option<String>,
    },
    /// Not tried: give the event back at once, as if it had not been delivered. Never dead-letters.
    Release,
    /// Hopeless: dead-letter now.
    Reject {
        /// Why no further attempt can succeed; kept with the dead letter.
        reason: String,
    },
}

/// Settles deliveries of one consumer.
///
/// Deliveries of one consumer share one settler, so that settling many is one call.
#[async_trait]
pub trait Settler: Debug + Send + Sync + 'static {
    /// Ends deliveries, all in the same way, in as few round trips as the broker allows.
    ///
    /// Returns one outcome per receipt, in order.
    /// Settling a delivery whose lease has ended, or that was settled before, is harmless and succeeds: it changes nothing
    /// for another holder, except that an ack of an event that is still unacknowledged may count.
    async fn settle(&self, receipts: &[Receipt], settlement: &Settlement) -> Vec<Result<()>>;

    /// Lets the leases of these deliveries end `lease` from now; one outcome per receipt, in order.
    ///
    /// An outcome is [`NotFound`](crate::ErrorKind::NotFound) when the delivery is no longer this holder's.
    async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<()>>;

    /// The delivery was dropped, or settling it failed: stop counting it as in flight. Must neither block nor settle it.
    fn abandon(&self, receipt: &Receipt);
}
