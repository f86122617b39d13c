//! Prints events that pass the filter, and says how many.

use std::io;

use anyhow::{Context, Result};
use events_terminal::{Filter, Format, Line, Output, Reopen};

use crate::flags::Flags;

/// Standard output or a file, with what is printed and how.
#[derive(Debug)]
pub(crate) struct Printer {
    filter: Filter,
    format: Format,
    output: Output,
}

/// Why printing ended before the end.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// Nobody reads any more, as after `| head`: the end of the program, and no failure.
    ClosedPipe,
    /// The disk is full, or the like.
    Failed(io::Error),
}

impl Printer {
    /// Standard output, or the file that is to be written. Has to be called inside a Tokio runtime.
    pub(crate) fn new(flags: &Flags) -> Result<Self> {
        let output = match &flags.destination.output {
            Some(path) => Output::file(path, flags.destination.rotation(), Reopen::on_hangup()?)
                .with_context(|| format!("cannot open {}", path.display()))?,
            None => Output::new(),
        };
        Ok(Self { filter: flags.filter.filter(), format: flags.format, output })
    }

    /// Prints the first `limit` events of a batch that pass the filter, and returns how many those were. All of it is written
    /// and flushed when this returns `Ok`.
    pub(crate) async fn print<'e, I>(&mut self, batch: I, limit: usize) -> Result<usize, Stopped>
    where
        I: Iterator<Item = Line<'e>> + Send,
    {
        let mut printed = 0;
        for line in batch {
            if printed < limit && self.filter.matches(line.event()) {
                self.output.print(self.format, &line);
                printed += 1;
                self.output.flush_if_full().await?;
            }
        }
        self.output.flush().await?;
        Ok(printed)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Failed(error),
        }
    }
}

impl Stopped {
    /// What the program makes of it.
    pub(crate) fn into_result(self) -> Result<()> {
        match self {
            Self::ClosedPipe => Ok(()),
            Self::Failed(error) => Err(anyhow::Error::new(error).context("cannot write to standard output")),
        }
    }
}
