//! Tries again, for a while.

use std::future::Future;
use std::time::Duration;

use events_core::{Error, ErrorKind, Result};
use events_terminal::Shutdown;
use tokio::time::{Instant, sleep, timeout_at};

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

    /// Makes one try, for as long as there is time; what it would have come to is not known when the time is over.
    pub(crate) async fn bound<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        // A backend has a patience of its own, which may be longer than ours.
        timeout_at(self.deadline, call).await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Timeout, "wait for the broker", "no answer in time"))
        })
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
        match tries.bound(call()).await {
            Err(error) if error.is_transient() => {
                if !tries.next(shutdown).await {
                    return Err(error);
                }
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_try_ends_with_the_time() {
        let tries = Tries::within(Duration::from_secs(1));
        let error = tries.bound(std::future::pending::<Result<()>>()).await.expect_err("no answer");
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_tried_again_until_the_time_is_over() {
        let mut shutdown = Shutdown::listen().unwrap();
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let call = || {
            let before = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move {
                match before {
                    0..3 => Err(Error::new(ErrorKind::Unavailable, "test", "away")),
                    _ => Ok(before),
                }
            }
        };
        assert_eq!(within(Duration::from_secs(60), &mut shutdown, call).await.unwrap(), 3);
        let away = || async { Err::<(), _>(Error::new(ErrorKind::Unavailable, "test", "away")) };
        let error = within(Duration::from_secs(60), &mut shutdown, away).await.expect_err("away");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_for_good_is_not_tried_again() {
        let mut shutdown = Shutdown::listen().unwrap();
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let call = || {
            calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async { Err::<(), _>(Error::new(ErrorKind::PermissionDenied, "test", "no")) }
        };
        assert!(within(Duration::from_secs(60), &mut shutdown, call).await.is_err());
        assert_eq!(calls.into_inner(), 1);
    }
}
