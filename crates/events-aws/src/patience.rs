//! How a consumer bears a queue that cannot be asked: it says so once, and asks less and less often.

use std::time::Duration;

use events_core::{Error, ErrorKind};
use tracing::{info, warn};

/// The pause after the first failure; it doubles with each, up to the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Patience {
    failures: u32,
    /// The last failure that was logged.
    said: Option<ErrorKind>,
}

impl Patience {
    /// A call failed: says so where it is news, and pauses, but not past the end of the caller's own patience.
    pub(crate) async fn tried(&mut self, queue: &str, error: &Error, left: Duration) {
        if self.said != Some(error.kind()) {
            self.said = Some(error.kind());
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            warn!(queue, %error, cause, "receiving fails; it is tried again");
        }
        tokio::time::sleep(self.next_pause().min(left)).await;
    }

    fn next_pause(&mut self) -> Duration {
        let pause = FIRST.saturating_mul(1 << self.failures.min(5)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// A call worked.
    pub(crate) fn restored(&mut self, queue: &str) {
        if self.said.take().is_some() {
            info!(queue, "receiving works again");
        }
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute_and_begin_anew_once_a_call_worked() {
        let mut patience = Patience::default();
        let pauses: Vec<u64> = (0..7).map(|_| patience.next_pause().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        patience.restored("q");
        assert_eq!(patience.next_pause(), FIRST);
    }
}
