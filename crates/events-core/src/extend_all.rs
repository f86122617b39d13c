//! Extends the leases of many deliveries at once.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{Delivery, Error, ErrorKind, Receipt, Result, Settler};

/// Lets the leases of deliveries, of one consumer or of several, end `lease` from now, in one call per consumer.
///
/// Returns one outcome per delivery, in order, as [`Delivery::extend`] would.
/// The future does not borrow the deliveries, so that they can be settled while it runs; extending one that was settled
/// meanwhile answers [`NotFound`](ErrorKind::NotFound) and is harmless.
///
/// # Cancel safety
///
/// Dropping the future leaves open which leases are extended.
pub fn extend_all<'d>(
    deliveries: impl IntoIterator<Item = &'d Delivery>,
    lease: Duration,
) -> Pin<Box<dyn Future<Output = Vec<Result<()>>> + Send>> {
    let mut calls: Vec<Call> = Vec::new();
    let mut count = 0;
    for (at, delivery) in deliveries.into_iter().enumerate() {
        count = at + 1;
        let settler = delivery.settler();
        let call = match calls.iter().position(|call| Arc::ptr_eq(&call.settler, settler)) {
            Some(known) => &mut calls[known],
            None => {
                calls.push(Call { settler: Arc::clone(settler), receipts: Vec::new(), places: Vec::new() });
                let newest = calls.len() - 1;
                &mut calls[newest]
            }
        };
        call.receipts.push(delivery.receipt().clone());
        call.places.push(at);
    }
    Box::pin(async move {
        let mut outcomes: Vec<Result<()>> = (0..count).map(|_| Err(no_outcome())).collect();
        for call in calls {
            let extended = call.settler.extend(&call.receipts, lease).await;
            for (place, outcome) in call.places.into_iter().zip(extended) {
                outcomes[place] = outcome;
            }
        }
        outcomes
    })
}

/// What one consumer is asked for.
struct Call {
    settler: Arc<dyn Settler>,
    receipts: Vec<Receipt>,
    /// Where in the answer the outcome of each receipt belongs.
    places: Vec<usize>,
}

fn no_outcome() -> Error {
    Error::new(ErrorKind::Backend, "extend", "the backend reported no outcome for the delivery")
}
