//! Tries again, for a while.

use std::future::Future;
use std::time::Duration;

use events_core::Result;
use events_terminal::Shutdown;
use tokio::time::{Instant, sleep};

/// The pause before the next try; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Pauses between tries, until a deadline.
#[derive(Debug)]
pub(crate) struct Tries {
    deadline: Instant,
    pause: Duration,
}

impl Tries {
    pub(crate) fn within(timeout: Duration) -> Self {
        // A timeout too long to add up is none.
        let far = Duration::from_secs(365 * 24 * 60 * 60);
        Self { deadline: Instant::now() + timeout.min(far), pause: FIRST_PAUSE }
    }

    /// Waits for the next try; `false` when there is none, because the time is over or the program was asked to end.
    pub(crate) async fn next(&mut self, shutdown: &mut Shutdown) -> bool {
        let now = Instant::now();
        if now >= self.deadline || shutdown.is_requested() {
            return false;
        }
        let pause = self.pause.min(self.deadline - now);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        tokio::select! {
            () = shutdown.requested() => false,
            () = sleep(pause) => true,
        }
    }
}

/// Makes a call until it succeeds, fails for good, or the time is over.
pub(crate) async fn within<T: Send, F: Future<Output = Result<T>> + Send>(
    timeout: Duration,
    shutdown: &mut Shutdown,
    call: impl Fn() -> F + Send,
) -> Result<T> {
    let mut tries = Tries::within(timeout);
    loop {
        match call().await {
            Err(error) if error.is_transient() => {
                if !tries.next(shutdown).await {
                    return Err(error);
                }
            }
            other => return other,
        }
    }
}
