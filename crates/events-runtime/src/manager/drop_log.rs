//! Says what is dropped, at a bounded rate, and never what was in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use events_core::Event;

use super::stats::DropReason;

/// At most one line in this time for each reason.
const INTERVAL: Duration = Duration::from_secs(1);

/// Writes a line for the first dropped event, and then one for the first of each interval.
#[derive(Debug)]
pub(crate) struct DropLog {
    started: Instant,
    /// When each reason may be logged again, in milliseconds after the start.
    next: [AtomicU64; DropReason::ALL.len()],
}

impl DropLog {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), next: Default::default() }
    }

    /// Logs the event, unless another was logged for the same reason just now. `total` is how many were dropped for it.
    pub(crate) fn dropped(&self, event: &Event, reason: DropReason, total: u64) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let next = &self.next[reason as usize];
        let due = next.load(Ordering::Relaxed);
        let later = now.saturating_add(INTERVAL.as_millis() as u64);
        if now < due || next.compare_exchange(due, later, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        tracing::warn!(
            event_type = event.event_type(),
            event_id = event.id().unwrap_or_default(),
            reason = reason.as_str(),
            dropped = total,
            "an event was dropped"
        );
    }
}
