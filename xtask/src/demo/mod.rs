//! `cargo xtask demo`: one process publishes, the log sink in another prints and acknowledges.

mod child;
mod events;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{binary, cargo};
use crate::{command, flags};
use child::{Child, Deadline};

const HELP: &str = "\
Usage: cargo xtask demo [--url <url>] [--events <n>]

Starts `event-log-sink` and, at the same time, a process that publishes (`events publish`). The events appear on this
terminal. Afterwards a second sink of the same group is started, which must be given nothing: that shows that every event
was acknowledged. Ends by itself, with exit code 0 when all of this is so.

  --url <url>   the broker, such as redis://127.0.0.1:6379; without it a SQLite file in a temporary directory
  --events <n>  how many events [default: 12]
";

/// Events are published over about this long, so that one sees them come.
const PUBLISHING_TAKES: Duration = Duration::from_millis(1200);

/// What must happen within this time; the building before it may take as long as it likes.
const DEADLINE: Duration = Duration::from_secs(120);

/// The lease of the first sink. An event it left unacknowledged would be given to the second sink after that.
const LEASE: Duration = Duration::from_secs(1);

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<()> {
    use lexopt::prelude::{Long, ValueExt};
    let mut options = Options::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("url") => options.url = Some(arguments.value()?.string()?),
            Long("events") => options.events = arguments.value()?.parse()?,
            other => return flags::help_or_refuse(other, HELP),
        }
    }
    demonstrate(&options, Build::Needed)
}

/// What the demo is asked for.
#[derive(Debug)]
pub(crate) struct Options {
    url: Option<String>,
    events: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { url: None, events: 12 }
    }
}

/// Whether the programs have to be built first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Build {
    Needed,
    Done,
}

pub(crate) fn demonstrate(options: &Options, build: Build) -> Result<()> {
    ensure!(options.events > 0, "--events must be at least 1");
    if options.url.as_deref().is_some_and(|url| url.starts_with("memory:")) {
        bail!("memory: lives in one process, and the demo has several");
    }
    if build == Build::Needed {
        println!("building event-log-sink and events");
        command::run(&mut cargo(["build", "--quiet", "-p", "event-log-sink", "-p", "events-cli"]))?;
    }
    let directory = tempfile::tempdir().context("cannot create a temporary directory")?;
    let broker = Broker::new(options.url.as_deref(), directory.path());
    println!("broker {}, stream key {}\n", broker.shown, broker.stream_key);

    let deadline = Deadline::after(DEADLINE);
    let limit = options.events.to_string();
    let sink = broker
        .sink(&["--from", "earliest", "--limit", &limit], deadline)?
        .follow(|line| println!("{line}"))?;
    publish(&broker, options.events, deadline)?;
    let printed = tally(&sink.until_it_ends()?, options.events)?;

    // By now the lease of an unacknowledged event must be over before the second sink looks.
    thread::sleep(LEASE + LEASE / 2);
    let left = broker.sink(&["--drain"], deadline)?.follow(|_| {})?.until_it_ends()?;
    if let Some(line) = left.first() {
        bail!("{} events were printed but not acknowledged, such as: {line}", left.len());
    }
    let repeated = printed.values().sum::<usize>() - printed.len();
    println!(
        "\npublished {n}, printed {}{}, acknowledged {n} (a second sink of the same group was given nothing)",
        printed.len(),
        if repeated == 0 { String::new() } else { format!(" (and {repeated} repeated)") },
        n = options.events,
    );
    Ok(())
}

/// Where the events go, and how the programs are told.
struct Broker {
    url: String,
    /// The URL without what may be a password.
    shown: String,
    stream_key: String,
}

impl Broker {
    fn new(url: Option<&str>, directory: &Path) -> Self {
        let embedded = || format!("sqlite:{}", directory.join("demo.db").display());
        let url = url.map_or_else(embedded, str::to_owned);
        // A key of its own, so that a shared server's other streams are left alone.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let stream_key = format!("events-demo:{now}-{}", std::process::id());
        Self { shown: without_credentials(&url), url, stream_key }
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary(program));
        // The user's own settings have no part in the demo.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("EVENTS_"))
        {
            command.env_remove(name);
        }
        command.args(arguments).args(["--url", &self.url, "--stream-key", &self.stream_key]);
        command
    }

    fn sink(&self, arguments: &[&str], deadline: Deadline) -> Result<Child> {
        let lease = format!("{}ms", LEASE.as_millis());
        let mut command = self.command("event-log-sink", arguments);
        command.args(["--consumer-group", "demo", "--lease", &lease]);
        Child::start("the sink", command.stdin(Stdio::null()).stdout(Stdio::piped()), deadline)
    }
}

/// Writes the events to the standard input of a producer process, one JSON object a line.
fn publish(broker: &Broker, events: usize, deadline: Deadline) -> Result<()> {
    let mut command = broker.command("events", &["publish"]);
    // What the producer prints about its own work would get in the way of the events.
    let mut producer =
        Child::start("the producer", command.stdin(Stdio::piped()).stdout(Stdio::null()), deadline)?;
    let written = write_events(producer.take_input()?, events);
    // Why it ended early says more than the pipe that broke.
    producer.wait().context("not every event was published")?;
    written.context("the producer does not read its standard input")
}

fn write_events(mut input: impl Write, events: usize) -> std::io::Result<()> {
    let begun = Instant::now();
    for number in 0..events {
        writeln!(input, "{}", events::line(number))?;
        let due = PUBLISHING_TAKES.mul_f64((number + 1) as f64 / events as f64);
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(())
}

/// How often each event was printed; every one of them must have been.
fn tally(lines: &[String], events: usize) -> Result<BTreeMap<usize, usize>> {
    let mut printed = BTreeMap::new();
    for line in lines {
        let number =
            events::number(line).with_context(|| format!("the sink printed no event of ours: {line}"))?;
        *printed.entry(number).or_default() += 1;
    }
    let missing: Vec<usize> = (0..events).filter(|number| !printed.contains_key(number)).collect();
    ensure!(missing.is_empty(), "published but not printed: events {missing:?}");
    Ok(printed)
}

/// `redis://user:secret@host` as `redis://host`.
fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let authority = rest.find('/').unwrap_or(rest.len());
            let host = rest[..authority].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[host..])
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        assert_eq!(without_credentials("redis://u:p@h:1/0"), "redis://h:1/0");
        assert_eq!(without_credentials("redis://h:1/0?x=a@b"), "redis://h:1/0?x=a@b");
        assert_eq!(without_credentials("sqlite:/tmp/a@b.db"), "sqlite:/tmp/a@b.db");
    }

    #[test]
    fn every_event_must_be_printed() {
        let lines: Vec<String> = [0, 1, 1].map(events::line).into();
        assert_eq!(tally(&lines, 2).unwrap(), BTreeMap::from([(0, 1), (1, 2)]));
        assert!(tally(&lines, 3).is_err());
        assert!(tally(&["something else".to_owned()], 0).is_err());
    }
}
