//! `events`: publishes events and looks at streams.

mod flags;
mod publish;
mod retry;
mod tail;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use events_terminal::{Audience, Exit, Shutdown, init_logging};

use crate::flags::{Flags, Verb};

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let exit = run(flags).await.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        match error.downcast_ref::<events_core::Error>() {
            Some(error) => Exit::for_kind(error.kind()),
            None => Exit::Failure,
        }
    });
    exit.into()
}

async fn run(flags: Flags) -> Result<Exit> {
    init_logging(Audience::User)?;
    let shutdown = Shutdown::listen()?;
    match flags.verb {
        Verb::Publish(flags) => publish::run(flags, shutdown).await,
        Verb::Tail(flags) => tail::run(&flags, shutdown).await,
    }
}
