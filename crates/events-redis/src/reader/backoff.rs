//! `Backoff`: longer and longer pauses while the server is away.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// Longer and longer pauses while the server is away.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next pause: doubled each time up to a second, and spread so that consumers do not come all at once.
    pub(super) fn next(&mut self) -> Duration {
        let full = SHORTEST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // Any quickly changing number will do to spread consumers.
        let spread = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |now| now.subsec_micros());
        full / 2 + (full / 2) * (spread % 1_000) / 1_000
    }

    /// Whether the pause given last was the first since all was well.
    pub(super) fn is_first(&self) -> bool {
        self.failures == 1
    }

    /// All is well; true when it was not before.
    pub(super) fn reset(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_second_and_start_over() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..40).map(|_| backoff.next()).collect();
        assert!(pauses[0] >= SHORTEST / 2 && pauses[0] <= SHORTEST);
        assert!(pauses[39] >= LONGEST / 2 && pauses[39] <= LONGEST);
        assert!(backoff.reset() && !backoff.reset());
        assert!(backoff.next() <= SHORTEST && backoff.is_first());
    }
}
