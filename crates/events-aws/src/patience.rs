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
        let pause = FIRST.saturating_mul(1 << self.failures.min(5)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        tokio::time::sleep(pause.min(left)).await;
    }

    /// A call worked.
    pub(crate) fn restored(&mut self, queue: &str) {
        if self.said.take().is_some() {
            info!(queue, "receiving works again");
        }
        self.failures = 0;
    }
}
