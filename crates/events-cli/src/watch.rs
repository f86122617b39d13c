//! `--watch`: the same look again and again.

use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use events_terminal::{Output, Shutdown, parse_duration};

/// Where the cursor goes and what is deleted before a terminal is drawn anew.
const DRAW_ANEW: &[u8] = b"\x1b[H\x1b[J";

/// Whether to look once or again and again.
#[derive(Args, Debug)]
pub(crate) struct WatchArgs {
    /// Look again every so often until asked to end [default when given without a value: 2s]
    #[arg(long, value_name = "INTERVAL", value_parser = parse_duration, num_args = 0..=1, default_missing_value = "2s")]
    watch: Option<Duration>,
}

/// Looks that follow each other.
#[derive(Debug)]
pub(crate) struct Watch {
    every: Option<Duration>,
    output: Output,
}

impl Watch {
    pub(crate) fn new(flags: &WatchArgs) -> Self {
        Self { every: flags.watch, output: Output::new() }
    }

    /// Shows one look; `false` when nobody watches any more.
    pub(crate) async fn show(&mut self, look: &[u8]) -> Result<bool> {
        if self.every.is_some() && io::stdout().is_terminal() {
            self.output.buffer().extend_from_slice(DRAW_ANEW);
        }
        self.output.buffer().extend_from_slice(look);
        Ok(self.output.flush_to_reader().await?)
    }

    /// Waits for the time of the next look; `false` when there is none.
    pub(crate) async fn again(&self, shutdown: &mut Shutdown) -> bool {
        let Some(every) = self.every else { return false };
        tokio::select! {
            () = shutdown.requested() => false,
            () = tokio::time::sleep(every) => true,
        }
    }
}
