//! Counts what a consumer's backend tells its observer.

use std::collections::HashMap;
use std::sync::Mutex;

use events_core::{DeadLetterReason, Observer};

/// How many events became dead letters, by reason.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<HashMap<DeadLetterReason, u64>>);

impl Told {
    pub(crate) fn of(&self, reason: DeadLetterReason) -> u64 {
        self.0.lock().expect("nobody panics").get(&reason).copied().unwrap_or(0)
    }
}

impl Observer for Told {
    fn dead_lettered(&self, reason: DeadLetterReason, events: u64) {
        *self.0.lock().expect("nobody panics").entry(reason).or_default() += events;
    }

    fn reconnected(&self) {}
}
