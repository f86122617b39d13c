//! Lets handlers begin no faster than so many a second.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use events_core::async_trait;
use tokio::time::{Instant, sleep_until};

use super::context::Context;
use super::handler::Outcome;
use super::middleware::{Middleware, Next};

/// Lets handlers begin no faster than so many a second, evenly spaced, after a first burst.
///
/// Who waits for its turn holds one of the worker's places, and its lease is extended; the time counts towards the
/// [timeout](crate::WorkerConfig::timeout).
#[derive(Debug)]
pub struct RateLimit {
    interval: Duration,
    burst: u32,
    /// When the next handler would begin if none had been saved up.
    next: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// At most `events` begin in a second, one at a time.
    pub fn per_second(events: NonZeroU32) -> Self {
        Self { interval: Duration::from_secs(1) / events.get(), burst: 1, next: Mutex::new(None) }
    }

    /// After a pause, so many may begin at once. Default: 1.
    #[must_use]
    pub fn with_burst(mut self, events: NonZeroU32) -> Self {
        self.burst = events.get();
        self
    }

    /// When the caller may begin.
    fn reserve(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        // What is saved up is at most a burst, of which the caller's own is one.
        let saved = self.interval * (self.burst - 1);
        let earliest = now.checked_sub(saved).unwrap_or(now);
        let at = next.map_or(earliest, |next| next.max(earliest));
        *next = Some(at + self.interval);
        at
    }
}

#[async_trait]
impl Middleware for RateLimit {
    async fn handle(&self, context: Context, next: Next<'_>) -> Outcome {
        let now = Instant::now();
        let at = self.reserve(now);
        if at > now {
            sleep_until(at).await;
        }
        next.run(context).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_spaced_evenly_after_a_burst() {
        let four = RateLimit::per_second(NonZeroU32::new(4).unwrap()).with_burst(NonZeroU32::new(2).unwrap());
        let start = Instant::now() + Duration::from_secs(10);
        let waits = |at: Instant| four.reserve(at).saturating_duration_since(at).as_millis();
        assert_eq!([waits(start), waits(start), waits(start), waits(start)], [0, 0, 250, 500]);
        let later = start + Duration::from_secs(60);
        assert_eq!(
            [waits(later), waits(later), waits(later)],
            [0, 0, 250],
            "no more than a burst is saved up"
        );
    }
}
