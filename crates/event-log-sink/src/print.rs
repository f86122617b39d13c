//! Prints events that pass the filter, and says how many.

use anyhow::{Context, Result};
use events_terminal::{Filter, Format, Line, Output, Reopen, WriteError};

use crate::flags::Flags;

/// Standard output or a file, with what is printed and how.
#[derive(Debug)]
pub(crate) struct Printer {
    filter: Filter,
    format: Format,
    output: Output,
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
    pub(crate) async fn print<'e, I>(&mut self, batch: I, limit: usize) -> Result<usize, WriteError>
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

/// What the program makes of lines that did not arrive: a closed pipe is its end, and no failure.
pub(crate) fn stopped(error: WriteError) -> Result<()> {
    if error.is_closed_pipe() { Ok(()) } else { Err(error.into()) }
}
