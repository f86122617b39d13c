//! Nothing is deleted or given back that its user has not counted.

use std::io::{self, IsTerminal, Write};
use std::thread;

use anyhow::{Context, Result};
use clap::Args;
use events_terminal::Shutdown;
use tokio::sync::oneshot;

/// Whether, and of how many, somebody is sure.
#[derive(Args, Debug)]
#[command(next_help_heading = "Confirmation")]
pub(crate) struct ConfirmArgs {
    /// Say what would be done, and do nothing
    #[arg(long, conflicts_with_all = ["confirm", "yes"])]
    pub(crate) dry_run: bool,

    /// Go on if exactly so many match, and do nothing otherwise
    #[arg(long, value_name = "N", conflicts_with = "yes")]
    confirm: Option<u64>,

    /// Go on, however many match
    #[arg(long)]
    yes: bool,
}

impl ConfirmArgs {
    /// Whether to go on with `count` of something. Asks at a terminal; elsewhere a flag has to say it.
    ///
    /// `doing` is a sentence without its end, such as `3 dead letters match; to purge them`.
    pub(crate) async fn agrees(&self, count: u64, doing: &str, shutdown: &mut Shutdown) -> Result<bool> {
        match self.confirm {
            _ if self.yes => Ok(true),
            Some(confirmed) if confirmed == count => Ok(true),
            Some(confirmed) => {
                tracing::error!("{doing}, give --confirm {count}, not {confirmed}; nothing was done");
                Ok(false)
            }
            None if io::stdin().is_terminal() && io::stderr().is_terminal() => {
                ask(count, doing, shutdown).await
            }
            None => {
                tracing::error!("{doing}, give --confirm {count}, or --yes; nothing was done");
                Ok(false)
            }
        }
    }
}

async fn ask(count: u64, doing: &str, shutdown: &mut Shutdown) -> Result<bool> {
    let mut terminal = io::stderr();
    write!(terminal, "{doing}, type {count}: ").and_then(|()| terminal.flush()).context("cannot ask")?;
    let (sender, answered) = oneshot::channel();
    // A thread of its own, which nothing waits for: who does not answer can still end the program.
    thread::spawn(move || {
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer).map(|_| answer);
        sender.send(read).ok();
    });
    let agreed = tokio::select! {
        answer = answered => {
            let answer = answer.context("nobody reads the answer")?.context("cannot read the answer")?;
            answer.trim() == count.to_string()
        }
        () = shutdown.requested() => false,
    };
    if !agreed {
        tracing::error!("nothing was done");
    }
    Ok(agreed)
}
