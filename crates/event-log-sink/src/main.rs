//! `event-log-sink`: consumes a stream of events and prints every one of them.
//!
//! The way of an event: a worker takes a batch ([`sink`]), has it printed, written and flushed ([`print`](mod@print)), and only then
//! acknowledges it, until a limit, a signal or a closed pipe ends it.

mod check;
mod dry_run;
mod flags;
mod listen;
mod print;
mod sink;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use events_terminal::{Audience, Exit, Shutdown, init_logging};
use mimalloc::MiMalloc;

use crate::flags::Flags;

/// An event is a dozen small allocations, hundreds of events at a time: with the C library's allocator a drain takes an
/// eighth longer.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// One thread: reading, decoding and printing hand thousands of small pieces to each other, and between threads that costs
/// more than the other processors bring. What may block (writing, files, resolving names) has threads of its own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let exit = match run(&flags).await {
        Ok(exit) => exit,
        Err(error) => {
            // Were the filter of the log itself the trouble, nothing would be logged.
            tracing::error!("{error:#}");
            match error.downcast_ref::<events_core::Error>() {
                Some(error) => Exit::for_kind(error.kind()),
                None => Exit::Failure,
            }
        }
    };
    exit.into()
}

async fn run(flags: &Flags) -> Result<Exit> {
    init_logging(Audience::Operator, flags.log_format)?;
    let settings = flags.settings()?;
    if flags.check_config {
        return check::check(&settings, flags).await;
    }
    let config = flags.config(&settings);
    if !config.enabled {
        tracing::info!("events are disabled (`enabled: false`): there is nothing to print");
        return Ok(Exit::Success);
    }
    let shutdown = Shutdown::listen()?;
    match flags.dry_run {
        true => dry_run::run(flags, &config, shutdown).await,
        false => sink::run(flags, &config, shutdown).await,
    }
}
