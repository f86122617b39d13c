//! `events dlq redrive` and `events dlq purge`.

use anyhow::Result;
use events_core::MessageId;
use events_terminal::{Exit, Shutdown};

use super::Changing;
use super::list::{print, table};
use crate::admin::{Stream, ask};
use crate::progress::Progress;

/// How many are changed together: enough to be quick, few enough that a lost connection leaves little in doubt.
const TOGETHER: usize = 200;

/// What becomes of dead letters.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Redrive,
    Purge,
}

impl Change {
    fn verb(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Purge => "purge",
        }
    }

    fn doing(self) -> &'static str {
        match self {
            Self::Redrive => "redriving",
            Self::Purge => "purging",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Redrive => "redriven",
            Self::Purge => "purged",
        }
    }
}

pub(super) async fn change(
    change: Change,
    stream: &Stream,
    flags: &Changing,
    shutdown: &mut Shutdown,
) -> Result<Exit> {
    let found = flags.selection.find(stream, usize::MAX, shutdown).await?;
    let count = found.len() as u64;
    if found.is_empty() {
        return print(b"no dead letter matches\n").await;
    }
    if flags.confirm.dry_run {
        let mut out = Vec::new();
        table(&found).append(&mut out);
        out.extend_from_slice(format!("would {} {}\n", change.verb(), letters(count)).as_bytes());
        return print(&out).await;
    }
    let question = format!("{} match; to {} them", letters(count), change.verb());
    if !flags.confirm.agrees(count, &question, shutdown).await? {
        return Ok(Exit::Usage);
    }
    let ids: Vec<MessageId> = found.into_iter().map(|found| found.letter.id).collect();
    let progress = Progress::new(change.doing(), Some(count));
    let mut done = 0;
    for ids in ids.chunks(TOGETHER) {
        if shutdown.is_requested() {
            break;
        }
        done += match change {
            Change::Redrive => ask(shutdown, || stream.admin.redrive(ids)).await?,
            Change::Purge => ask(shutdown, || stream.admin.purge(ids)).await?,
        };
        progress.add(ids.len() as u64);
    }
    progress.clear();
    if done < count {
        tracing::warn!(
            "{} of them were gone meanwhile, or this was asked to end before their turn",
            count - done
        );
    }
    print(format!("{} {}\n", change.done(), letters(done)).as_bytes()).await?;
    Ok(if shutdown.is_requested() && done < count { Exit::Failure } else { Exit::Success })
}

fn letters(count: u64) -> String {
    format!("{count} dead letter{}", if count == 1 { "" } else { "s" })
}
