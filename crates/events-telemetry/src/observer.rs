//! Counts what a backend does by itself.

use std::fmt;
use std::sync::Arc;

use events_core::{DeadLetterReason, Observer};
use metrics::{Counter, counter};

use crate::metric::{DEAD_LETTERED, RECONNECTS};

/// Counts the dead letters a consumer of this group moves, and the connections it makes anew.
///
/// To be given to the consumer with [`with_observer`](events_core::ConsumerOptions::with_observer): that an event has no
/// attempt left, or is none at all, only its backend notices. The recorder has to be installed before.
pub fn observe_consumer(stream: &str, group: &str) -> Arc<dyn Observer> {
    let reasons =
        [DeadLetterReason::Rejected, DeadLetterReason::MaxDeliveries, DeadLetterReason::Undecodable];
    let dead_lettered = reasons.map(|reason| {
        let labels = [("stream", stream), ("group", group), ("reason", reason.as_str())];
        (reason, counter!(DEAD_LETTERED, &labels.map(|(name, value)| (name, value.to_owned()))))
    });
    Arc::new(Meter { dead_lettered: dead_lettered.into(), reconnects: reconnects(stream) })
}

/// Counts the connections a publisher makes anew.
pub fn observe_publisher(stream: &str) -> Arc<dyn Observer> {
    Arc::new(Meter { dead_lettered: Vec::new(), reconnects: reconnects(stream) })
}

fn reconnects(stream: &str) -> Counter {
    counter!(RECONNECTS, "stream" => stream.to_owned())
}

struct Meter {
    dead_lettered: Vec<(DeadLetterReason, Counter)>,
    reconnects: Counter,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

impl Observer for Meter {
    fn dead_lettered(&self, reason: DeadLetterReason, events: u64) {
        if let Some((_, counter)) = self.dead_lettered.iter().find(|(known, _)| *known == reason) {
            counter.increment(events);
        }
    }

    fn reconnected(&self) {
        self.reconnects.increment(1);
    }
}
