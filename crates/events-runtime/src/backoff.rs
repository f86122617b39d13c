//! How long to wait before the next attempt.

use std::time::Duration;

/// Pauses that double up to a limit, each shortened at random by up to half, so that those who failed together do not
/// come back together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, failures: 0 }
    }

    /// The pause after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        pause(self.initial, self.max, self.failures)
    }

    /// Begins again with the shortest pause.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The pause after the failure with this number, from 1.
pub(crate) fn pause(initial: Duration, max: Duration, failure: u32) -> Duration {
    let doublings = failure.saturating_sub(1).min(31);
    let full = initial.saturating_mul(1 << doublings).min(max);
    full.mul_f64(1.0 - fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIAL: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(5);

    #[test]
    fn pauses_double_up_to_the_limit_and_lose_at_most_half() {
        let mut backoff = Backoff::new(INITIAL, MAX);
        for full in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000].map(Duration::from_millis) {
            let pause = backoff.next();
            assert!(pause > full / 2 - Duration::from_millis(1) && pause <= full, "{pause:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= INITIAL);
    }

    #[test]
    fn no_number_of_failures_is_too_large() {
        assert!(pause(INITIAL, MAX, u32::MAX) <= MAX);
        assert!(pause(Duration::MAX, Duration::MAX, 7) > Duration::ZERO);
    }

    #[test]
    fn pauses_of_the_same_failure_differ() {
        let pauses: std::collections::HashSet<_> = (0..20).map(|_| pause(INITIAL, MAX, 5)).collect();
        assert!(pauses.len() > 1);
    }
}
