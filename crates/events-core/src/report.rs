//! What became of each event of a batch.

use crate::{Error, MessageId, Result};

/// One outcome per event of a batch, in the order of the batch.
#[derive(Debug)]
#[must_use = "an event whose outcome is an error was not accepted and is lost unless published again"]
pub struct PublishReport {
    outcomes: Vec<Result<MessageId>>,
}

impl PublishReport {
    /// Takes the outcomes in the order of the events.
    pub fn new(outcomes: Vec<Result<MessageId>>) -> Self {
        Self { outcomes }
    }

    /// The outcomes in the order of the events.
    pub fn outcomes(&self) -> &[Result<MessageId>] {
        &self.outcomes
    }

    /// The outcomes by value.
    pub fn into_outcomes(self) -> Vec<Result<MessageId>> {
        self.outcomes
    }

    /// Whether every event was accepted.
    pub fn is_complete(&self) -> bool {
        self.outcomes.iter().all(Result::is_ok)
    }

    /// Index in the batch and error of each event that was not accepted.
    pub fn failed(&self) -> impl Iterator<Item = (usize, &Error)> {
        self.outcomes.iter().enumerate().filter_map(|(at, outcome)| Some((at, outcome.as_ref().err()?)))
    }

    /// The ids of all events, or the first error.
    ///
    /// # Errors
    ///
    /// The outcome of the first event that was not accepted; later ones may have been.
    pub fn into_ids(self) -> Result<Vec<MessageId>> {
        self.outcomes.into_iter().collect()
    }
}
