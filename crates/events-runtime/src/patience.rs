//! Tries again for as long as the broker is away.

use std::time::Duration;

use events_core::Result;

use crate::outage::Outage;

/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes a call, such as connecting, until it succeeds or fails for good; `None` when `stop` completed first.
///
/// A broker that is away is no reason for a service not to start: it is said at once and then now and then, and tried again
/// each second.
///
/// # Errors
///
/// The first that is not transient: nobody but the operator can do something about it.
///
/// # Cancel safety
///
/// As that of the call.
pub async fn until_available<T, F>(
    stop: impl Future<Output = ()> + Send,
    call: impl Fn() -> F + Send,
) -> Result<Option<T>>
where
    F: Future<Output = Result<T>> + Send,
    T: Send,
{
    let mut outage = Outage::of("the broker is not available");
    let mut stop = std::pin::pin!(stop);
    loop {
        let outcome = tokio::select! {
            biased;
            () = &mut stop => return Ok(None),
            outcome = call() => outcome,
        };
        match outcome {
            Err(error) if error.is_transient() => outage.goes_on(&error),
            other => {
                outage.is_over();
                return other.map(Some);
            }
        }
        tokio::select! {
            () = &mut stop => return Ok(None),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicU32, Ordering};

    use events_core::{Error, ErrorKind};

    fn away_for(calls: u32, then: Result<u32>) -> impl Fn() -> std::future::Ready<Result<u32>> + Send
    where
        Result<u32>: Send,
    {
        let (called, then) = (AtomicU32::new(0), std::sync::Mutex::new(Some(then)));
        move || match called.fetch_add(1, Ordering::SeqCst) {
            call if call < calls => ready(Err(Error::new(ErrorKind::Unavailable, "connect", "away"))),
            _ => ready(then.lock().unwrap().take().expect("nobody asks again")),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_made_until_it_succeeds_or_fails_for_good() {
        assert_eq!(until_available(pending(), away_for(3, Ok(7))).await.unwrap(), Some(7));
        let refused = Err(Error::new(ErrorKind::PermissionDenied, "connect", "no"));
        let error = until_available(pending(), away_for(1, refused)).await.expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_waiting() {
        let stop = tokio::time::sleep(PAUSE * 5 / 2);
        assert_eq!(until_available(stop, away_for(u32::MAX, Ok(7))).await.unwrap(), None);
    }
}
