//! What is said while the broker is away: at once, then now and then.

use std::time::{Duration, Instant};

use events_core::Error;

/// How often an outage that goes on is mentioned.
const EVERY: Duration = Duration::from_secs(30);

/// A time during which the broker could not be asked.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    since: Option<Instant>,
    mentioned: Option<Instant>,
}

impl Outage {
    /// The broker could not be asked; it will be again.
    pub(crate) fn goes_on(&mut self, error: &Error) {
        let now = Instant::now();
        self.since.get_or_insert(now);
        if self.mentioned.is_none_or(|last| now - last >= EVERY) {
            self.mentioned = Some(now);
            tracing::warn!("{}; trying again", Chain(error));
        }
    }

    /// The broker answers.
    pub(crate) fn is_over(&mut self) {
        self.mentioned = None;
        if let Some(since) = self.since.take() {
            tracing::info!("the broker answers again after {:.1?}", since.elapsed());
        }
    }
}

/// An error with its sources, on one line.
pub(crate) struct Chain<'e>(pub(crate) &'e Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = std::error::Error::source(self.0);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
