//! What comes of handling an event, and how its delivery ends by it.

use std::cmp::Reverse;
use std::time::Duration;

use events_core::Delivery;
use tokio::time::Instant;

use super::config::LONGEST;
use super::crew::Done;
use super::dispatch::Dispatcher;
use super::failure::Failure;
use super::handler::Outcome;
use super::held::{Entry, Slot};
use super::settling::Ending;

impl Dispatcher {
    pub(super) fn take_outcomes(&mut self, done: Vec<Done>) {
        for (slot, outcome) in done {
            self.running -= 1;
            self.alone = false;
            self.take_outcome(slot, outcome);
        }
    }

    fn take_outcome(&mut self, slot: Slot, outcome: Outcome) {
        let ending = match outcome {
            Ok(()) => None,
            Err(failure) if failure.permanent => Some(Ending::DeadLetter(failure)),
            // A handler that fails while everything around it is being shut down proves nothing about the event.
            Err(_) if self.stopping => {
                let cut = self.let_go(slot).map(|entry| entry.delivery);
                return self.settling.release(cut.into_iter().collect(), &mut self.report);
            }
            Err(failure) => match self.next_attempt(slot, failure) {
                Some(ending) => Some(ending),
                None => return,
            },
        };
        let Some(entry) = self.let_go(slot) else { return };
        match ending {
            None => {
                let lease_end = entry.lease_end(self.config.lease);
                self.settling.ack(entry.delivery, lease_end);
            }
            Some(ending) => self.settling.end(entry.delivery, ending, &mut self.report),
        }
    }

    /// How a failed attempt ends, or `None` when the next one is made here.
    fn next_attempt(&mut self, slot: Slot, failure: Failure) -> Option<Ending> {
        let entry = self.held.get_mut(slot)?;
        let Some(pause) = self.config.retry.pause_after(entry.attempt()) else {
            return Some(Ending::DeadLetter(failure));
        };
        let pause = failure.retry_after.unwrap_or(pause).min(LONGEST);
        if entry.key.is_none() && self.capabilities.delayed_nack {
            self.caution.failed_here(entry.delivery.message_id());
            return Some(Ending::Retry(failure, pause));
        }
        log_retry(&entry.delivery, &failure, pause);
        entry.failures += 1;
        self.report.failed += 1;
        self.retries.push(Reverse((Instant::now() + pause, slot)));
        None
    }

    /// Holds a delivery no longer; the one behind it in its lane may go.
    pub(super) fn let_go(&mut self, slot: Slot) -> Option<Entry> {
        let entry = self.held.remove(slot)?;
        if let Some(next) = entry.key.and_then(|key| self.lanes.leave(key)) {
            self.ready.push_back(next);
        }
        Some(entry)
    }
}

fn log_retry(delivery: &Delivery, failure: &Failure, pause: Duration) {
    let event = delivery.event();
    tracing::warn!(
        event_type = event.event_type(),
        event_id = event.id().unwrap_or_default(),
        attempt = delivery.attempt(),
        ?pause,
        error = failure.in_words(),
        "handling an event failed"
    );
}
