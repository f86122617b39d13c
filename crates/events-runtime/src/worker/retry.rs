//! When a failed event is tried again, and how often.

use std::num::NonZeroU32;
use std::time::Duration;

use events_core::duration;
use serde::Deserialize;

use crate::backoff;

/// When a failed event is tried again, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts before an event is dead-lettered with its last error; crashes count as the broker counts them. Default: 5.
    ///
    /// The broker's own limit, [`max_deliveries`](events_core::ConsumerOptions::max_deliveries), holds as well: the smaller
    /// one decides.
    pub attempts: NonZeroU32,
    /// The pause after the first failure; it doubles with each further one, less up to half at random. Default: `1s`.
    #[serde(deserialize_with = "duration::deserialize")]
    pub initial: Duration,
    /// The longest pause. Default: `5m`.
    #[serde(deserialize_with = "duration::deserialize")]
    pub max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        const ATTEMPTS: NonZeroU32 = NonZeroU32::new(5).expect("five is not zero");
        Self { attempts: ATTEMPTS, initial: Duration::from_secs(1), max: Duration::from_secs(5 * 60) }
    }
}

impl RetryPolicy {
    /// The pause after the attempt with this number failed, or `None` when it was the last.
    pub(crate) fn pause_after(&self, attempt: u32) -> Option<Duration> {
        (attempt < self.attempts.get()).then(|| backoff::pause(self.initial, self.max, attempt))
    }
}
