//! Tries again for as long as the broker is away.

use std::future::Future;
use std::time::Duration;

use events_core::Result;
use events_terminal::Shutdown;

use crate::outage::Outage;

/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes a call until it succeeds or fails for good; `None` when the program was asked to end first.
pub(crate) async fn until_it_works<T: Send, F: Future<Output = Result<T>> + Send>(
    shutdown: &mut Shutdown,
    call: impl Fn() -> F + Send,
) -> Result<Option<T>> {
    let mut outage = Outage::default();
    loop {
        let outcome = tokio::select! {
            biased;
            () = shutdown.requested() => return Ok(None),
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
            () = shutdown.requested() => return Ok(None),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
