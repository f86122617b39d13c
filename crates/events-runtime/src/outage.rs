//! What is said while the broker is away: at once, then now and then, and when it is back.

use std::fmt;
use std::time::{Duration, Instant};

use events_core::Error;

/// How often an outage that goes on is mentioned.
const EVERY: Duration = Duration::from_secs(30);

/// A time during which something could not be done that will be again.
#[derive(Debug)]
pub(crate) struct Outage {
    what: &'static str,
    since: Option<Instant>,
    mentioned: Option<Instant>,
}

impl Outage {
    /// None yet; `what` is what cannot be done while there is one.
    pub(crate) fn of(what: &'static str) -> Self {
        Self { what, since: None, mentioned: None }
    }

    /// It could not be done; it is tried again.
    pub(crate) fn goes_on(&mut self, error: &Error) {
        let now = Instant::now();
        self.since.get_or_insert(now);
        if self.mentioned.is_none_or(|last| now - last >= EVERY) {
            self.mentioned = Some(now);
            tracing::warn!(error = %Chain(error), "{}; trying again", self.what);
        }
    }

    /// It was done.
    pub(crate) fn is_over(&mut self) {
        self.mentioned = None;
        if let Some(since) = self.since.take() {
            tracing::info!("the broker answers again after {:.1?}", since.elapsed());
        }
    }
}

/// An error with its sources, on one line.
pub(crate) struct Chain<'e>(pub(crate) &'e (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
