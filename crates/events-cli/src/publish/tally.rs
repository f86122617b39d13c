//! What became of the events: ids or a count on standard output, failures on standard error.

use std::error::Error as _;
use std::fmt;

use anyhow::Result;
use events_core::{Error, MessageId};
use events_terminal::{Exit, Output};

/// Where an event came from, to be named when it is not published.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// The flags.
    Flags,
    /// A line of the input, from 1.
    Line(u64),
    /// A message of a stream.
    Message(MessageId),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags => f.write_str("the event"),
            Self::Line(number) => write!(f, "line {number}"),
            Self::Message(id) => write!(f, "message {id}"),
        }
    }
}

/// Counts outcomes and says them.
#[derive(Debug)]
pub(crate) struct Tally {
    published: u64,
    failed: u64,
    /// Whether all of the input was read.
    complete: bool,
    /// Whether ids are printed, instead of how many there are.
    ids: bool,
    output: Output,
}

impl Tally {
    pub(crate) fn new(ids: bool) -> Self {
        Self { published: 0, failed: 0, complete: true, ids, output: Output::new() }
    }

    /// One event is published.
    pub(crate) fn published(&mut self, id: &MessageId) {
        self.published += 1;
        if self.ids {
            self.output.buffer().extend_from_slice(format!("{id}\n").as_bytes());
        }
    }

    /// One event is not published, and never will be as it is.
    pub(crate) fn failed(&mut self, origin: &Origin, error: &Error) {
        self.failed += 1;
        match origin {
            Origin::Flags => tracing::error!("{error}{}", Cause(error)),
            origin => tracing::error!("{origin}: {}{}", error.message(), Cause(error)),
        }
    }

    /// Events are not published because the broker was away or full for too long.
    pub(crate) fn gave_up(&mut self, origins: &[Origin], error: &Error) {
        self.failed += origins.len() as u64;
        self.complete = false;
        match origins.first() {
            None | Some(Origin::Flags) => tracing::error!("{error}{}", Cause(error)),
            Some(first) => tracing::error!(
                "not published: {} events from {first} on, and what comes after them: {error}{}",
                origins.len(),
                Cause(error)
            ),
        }
    }

    /// The input was not read to its end.
    pub(crate) fn stopped_early(&mut self) {
        self.complete = false;
    }

    /// Prints the ids of a batch.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        // Where nobody wants to know, the events are published all the same.
        self.output.flush_to_reader().await?;
        Ok(())
    }

    /// Prints the summary and says how the program ends.
    pub(crate) async fn finish(mut self) -> Result<Exit> {
        let plural = if self.published == 1 { "" } else { "s" };
        let summary = format!("published {} event{plural}", self.published);
        if self.ids {
            tracing::info!("{summary}");
        } else {
            self.output.buffer().extend_from_slice(format!("{summary}\n").as_bytes());
        }
        self.flush().await?;
        if self.failed > 0 {
            tracing::error!("not published: {}", self.failed);
        }
        Ok(if self.failed == 0 && self.complete { Exit::Success } else { Exit::Failure })
    }
}

/// The sources of an error, to be put behind it.
struct Cause<'e>(&'e Error);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
