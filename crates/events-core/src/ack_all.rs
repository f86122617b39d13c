//! Acknowledges many deliveries at once, or gives them back.

use std::sync::Arc;

use crate::{Delivery, Error, ErrorKind, Receipt, Settlement};

/// What became of deliveries that were acknowledged together.
#[derive(Debug)]
#[must_use = "deliveries in `failed` are not acknowledged and come back unless acknowledged again"]
pub struct AckReport {
    /// How many are acknowledged.
    pub acked: usize,
    /// Those that are not, each with its error: acknowledge them again, or drop them and get them again.
    pub failed: Vec<(Delivery, Error)>,
}

impl AckReport {
    /// All acknowledged, or the first error; what failed is dropped and comes back when its lease ends.
    ///
    /// # Errors
    ///
    /// The error of the first delivery that is not acknowledged.
    pub fn into_result(self) -> crate::Result<usize> {
        match self.failed.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(self.acked),
        }
    }
}

/// Acknowledges deliveries, of one consumer or of several, in one call per consumer.
///
/// Only the named ones are acknowledged, whatever their order.
///
/// # Cancel safety
///
/// Dropping the future leaves open which of the deliveries are acknowledged; the others come back when their lease ends.
pub async fn ack_all(deliveries: Vec<Delivery>) -> AckReport {
    let (acked, failed) = settle_all(deliveries, &Settlement::Ack).await;
    AckReport { acked, failed }
}

/// Gives deliveries back as [`Delivery::release`] does, of one consumer or of several, in one call per consumer.
///
/// Returns those the broker could not be told of, each with its error: dropped, they come back when their leases end.
///
/// # Cancel safety
///
/// Dropping the future leaves open which of the deliveries are given back before their leases end.
pub async fn release_all(deliveries: Vec<Delivery>) -> Vec<(Delivery, Error)> {
    settle_all(deliveries, &Settlement::Release).await.1
}

/// Ends deliveries all in the same way; returns how many are settled, and the others.
async fn settle_all(deliveries: Vec<Delivery>, settlement: &Settlement) -> (usize, Vec<(Delivery, Error)>) {
    let (mut settled, mut failed) = (0, Vec::new());
    let mut rest = deliveries;
    while let Some(first) = rest.first() {
        let settler = Arc::clone(first.settler());
        let is_mine = |delivery: &Delivery| Arc::ptr_eq(delivery.settler(), &settler);
        let (mine, others) = match rest.iter().all(is_mine) {
            // As a rule all are of one consumer, and hundreds need not be moved.
            true => (rest, Vec::new()),
            false => rest.into_iter().partition(is_mine),
        };
        let receipts: Vec<Receipt> = mine.iter().map(|delivery| delivery.receipt().clone()).collect();
        let mut outcomes = settler.settle(&receipts, settlement).await.into_iter();
        for mut delivery in mine {
            match outcomes.next().unwrap_or_else(|| Err(no_outcome())) {
                Ok(()) => {
                    delivery.disarm();
                    settled += 1;
                }
                Err(error) => failed.push((delivery, error)),
            }
        }
        rest = others;
    }
    (settled, failed)
}

fn no_outcome() -> Error {
    Error::new(ErrorKind::Backend, "settle", "the backend reported no outcome for the delivery")
}
