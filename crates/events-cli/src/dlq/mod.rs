//! `events dlq`: dead letters, to look at, to give back, to delete.

mod change;
mod list;
mod selection;
mod show;

use anyhow::Result;
use clap::{Args, Subcommand};
use events_terminal::{ConnectionArgs, Exit, Shutdown};

use crate::admin::Stream;
use crate::confirm::ConfirmArgs;
use crate::dlq::change::Change;
use crate::dlq::selection::SelectionArgs;
use crate::report::ReportFormat;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// List them, oldest first
    List(Look),
    /// Show everything that is known of them
    Show(Look),
    /// Give them back to the group they failed in, with attempts from 1
    Redrive(Changing),
    /// Delete them for good
    Purge(Changing),
}

/// Which dead letters to look at, and how.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Look {
    /// End after this many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// How they are printed
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,

    #[command(flatten)]
    selection: SelectionArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

const CHANGING_HELP: &str = "\
Nothing is done before it is counted: at a terminal the count is asked for, elsewhere --confirm or --yes has to give it.
What becomes a dead letter after the count is left alone.";

/// Which dead letters to change.
#[derive(Args, Debug)]
#[command(args_override_self = true, after_help = CHANGING_HELP)]
pub(crate) struct Changing {
    /// All dead letters of the stream, of every group
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    selection: SelectionArgs,

    #[command(flatten)]
    confirm: ConfirmArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(verb: Dlq, mut shutdown: Shutdown) -> Result<Exit> {
    let (Dlq::List(Look { connection, .. })
    | Dlq::Show(Look { connection, .. })
    | Dlq::Redrive(Changing { connection, .. })
    | Dlq::Purge(Changing { connection, .. })) = &verb;
    if let Dlq::Redrive(flags) | Dlq::Purge(flags) = &verb
        && flags.all == flags.selection.is_narrow()
    {
        tracing::error!(
            "say which dead letters: ids, a filter such as --group, or --all for every one of them"
        );
        return Ok(Exit::Usage);
    }
    let stream = Stream::open(connection, &mut shutdown).await?;
    let work = match &verb {
        Dlq::List(flags) => list::list(&stream, flags, &mut shutdown).await,
        Dlq::Show(flags) => show::show(&stream, flags, &mut shutdown).await,
        Dlq::Redrive(flags) => change::change(Change::Redrive, &stream, flags, &mut shutdown).await,
        Dlq::Purge(flags) => change::change(Change::Purge, &stream, flags, &mut shutdown).await,
    };
    stream.close_after(work).await
}
