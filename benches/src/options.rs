//! What is measured, and how much of it.

use std::path::PathBuf;

use anyhow::{Result, bail};
use lexopt::prelude::{Long, Short, ValueExt};

pub(crate) const HELP: &str = "\
Usage: events-bench [--quick] [--only <part of a measure's name>]... [--sink <program>]
                    [--peers <program>] [--aws <file>]

Prints one table: each measure, the ceiling measured beside it, and the ratio of the two.

  --quick    smaller and fewer rounds, a backlog of one million instead of ten: a minute or two, rougher figures
  --only     only measures whose name contains this; may be given several times
  --sink     the built event-log-sink; without it the measures of the sink are left out
  --peers    the built program of benches/peers; without it no peer is measured
  --aws      what the bench of events-aws has printed; without it AWS is left out
";

/// What is measured, and how much of it.
#[derive(Debug, Default)]
pub(crate) struct Options {
    only: Vec<String>,
    pub(crate) quick: bool,
    pub(crate) sink: Option<PathBuf>,
    pub(crate) peers: Option<PathBuf>,
    pub(crate) aws: Option<PathBuf>,
}

/// What the program was started for.
pub(crate) enum Request {
    Help,
    Table(Options),
    /// The other process of a measure that crosses from one process to another.
    PublishTo(PathBuf),
}

impl Options {
    pub(crate) fn parse(mut arguments: lexopt::Parser) -> Result<Request> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("help") | Short('h') => return Ok(Request::Help),
                Long("publish-to") => return Ok(Request::PublishTo(arguments.value()?.into())),
                Long("quick") => options.quick = true,
                Long("only") => options.only.push(arguments.value()?.string()?.to_lowercase()),
                Long("sink") => options.sink = Some(arguments.value()?.into()),
                Long("aws") => options.aws = Some(arguments.value()?.into()),
                Long("peers") => options.peers = Some(arguments.value()?.into()),
                other => bail!("{}\n\n{HELP}", other.unexpected()),
            }
        }
        Ok(Request::Table(options))
    }

    /// Whether a measure is asked for.
    pub(crate) fn wants(&self, measure: &str) -> bool {
        let measure = measure.to_lowercase();
        self.only.is_empty() || self.only.iter().any(|part| measure.contains(part))
    }

    /// How often ceiling and measure take turns.
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 3 } else { 7 }
    }

    /// How many events one turn moves, of those that move fast.
    pub(crate) fn events(&self) -> usize {
        if self.quick { 100 * 1024 } else { 400 * 1024 }
    }

    /// How many events one turn moves, of those that wait for each.
    pub(crate) fn single_events(&self) -> usize {
        self.events() / 20
    }

    /// How long a stream of ten million events is.
    pub(crate) fn ten_million(&self) -> usize {
        if self.quick { 1_000_000 } else { 10_000_000 }
    }
}
