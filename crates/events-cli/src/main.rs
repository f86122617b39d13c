//! `events`: publishes events and looks at streams.

mod asyncapi;
mod ensure;
mod flags;

mod bench;
mod dlq;
mod groups;
mod manual;
mod pending;
mod publish;
mod replay;
mod tail;
mod trim;

mod admin;
mod confirm;
mod progress;
mod report;
mod retry;
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use events_terminal::{Audience, Exit, LogFormat, Shutdown, init_logging};

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
    init_logging(Audience::User, LogFormat::Text)?;
    match flags.verb {
        Verb::Completions(flags) => return manual::completions(&flags),
        Verb::Man(flags) => return manual::man(&flags),
        _ => {}
    }
    let shutdown = Shutdown::listen()?;
    match flags.verb {
        Verb::Publish(flags) => publish::run(flags, shutdown).await,
        Verb::Tail(flags) => tail::run(&flags, shutdown).await,
        Verb::Replay(flags) => replay::run(&flags, shutdown).await,
        Verb::Groups(flags) => groups::run(&flags, shutdown).await,
        Verb::Pending(flags) => pending::run(&flags, shutdown).await,
        Verb::Dlq(flags) => dlq::run(flags, shutdown).await,
        Verb::Trim(flags) => trim::run(&flags, shutdown).await,
        Verb::Bench(flags) => bench::run(&flags, shutdown).await,
        Verb::Asyncapi(flags) => asyncapi::run(&flags),
        Verb::Completions(_) | Verb::Man(_) => Ok(Exit::Success),
        Verb::Ensure(flags) => ensure::run(&flags, shutdown).await,
    }
}
