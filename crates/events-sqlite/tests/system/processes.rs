//! Several processes over one file, and what is left when they are killed.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::time::Duration;

use crate::support::{DEADLINE, Process, event, name, wait_until};
use events_core::{ConsumerOptions, EventAdmin as _, EventConsumer as _, EventPublisher as _, ack_all};
use events_sqlite::{SqliteAdmin, SqliteConfig, SqliteConsumer, SqlitePublisher};

const STREAM: &str = "processes";
const GROUP: &str = "g";
const BATCH: NonZeroUsize = NonZeroUsize::new(50).unwrap();
const ROUNDS: usize = 15;

/// Short, so that what a killed process held comes back soon.
const LEASE: Duration = Duration::from_millis(500);

fn config(directory: &Path) -> SqliteConfig {
    let mut config = SqliteConfig::new(directory.join("events.db"));
    // A busy machine can take seconds to flush a file, and whoever waits for that writer must not give up.
    config.busy_timeout = DEADLINE;
    config
}

fn options() -> ConsumerOptions {
    // Every process that is killed with an event in hand costs the event an attempt.
    ConsumerOptions::new(GROUP).with_lease(LEASE).with_max_deliveries(NonZeroU32::MAX)
}

fn append_to(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// Appends whole lines in one write, which a kill either lets through or does not.
fn log(file: &mut File, names: &[String]) {
    if !names.is_empty() {
        file.write_all((names.join("\n") + "\n").as_bytes()).unwrap();
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(ToOwned::to_owned).collect()
}

/// Publishes for as long as it lives and writes down what was accepted.
pub(crate) async fn publish(directory: &Path) {
    let publisher = SqlitePublisher::open(&config(directory), STREAM).await.unwrap();
    let mut accepted = append_to(&directory.join("accepted"));
    for batch in 0.. {
        let names: Vec<String> = (0..20).map(|at| format!("{}-{batch}-{at}", std::process::id())).collect();
        let events: Vec<_> = names.iter().map(|name| event(name)).collect();
        publisher.publish_batch(&events).await.unwrap().into_ids().unwrap();
        log(&mut accepted, &names);
    }
}

/// Consumes for as long as it lives and writes down each event before it is acknowledged.
pub(crate) async fn consume(directory: &Path) {
    let mut consumer = SqliteConsumer::open(&config(directory), STREAM, options()).await.unwrap();
    let mut handled = append_to(&directory.join("handled"));
    loop {
        let deliveries = consumer.receive(BATCH, DEADLINE).await.unwrap();
        log(&mut handled, &deliveries.iter().map(|delivery| name(delivery.event())).collect::<Vec<_>>());
        ack_all(deliveries).await.into_result().unwrap();
    }
}

/// Consumes with a poll interval longer than any test, so that only a notification wakes it.
pub(crate) async fn echo(directory: &Path) {
    let mut config = config(directory);
    config.poll_interval = Duration::from_secs(3_600);
    // With as long a lease, or the consumer would look again when the lease of the last event would have ended.
    let options = options().with_lease(Duration::from_secs(3_600));
    let mut consumer = SqliteConsumer::open(&config, STREAM, options).await.unwrap();
    let mut handled = append_to(&directory.join("handled"));
    loop {
        let deliveries = consumer.receive(BATCH, Duration::from_secs(3_600)).await.unwrap();
        let names: Vec<String> = deliveries.iter().map(|delivery| name(delivery.event())).collect();
        ack_all(deliveries).await.into_result().unwrap();
        log(&mut handled, &names);
    }
}

#[test]
fn loses_nothing_when_processes_are_killed_again_and_again() {
    let directory = tempfile::tempdir().unwrap();
    let (accepted, handled) = (directory.path().join("accepted"), directory.path().join("handled"));
    let parts = ["publish", "publish", "consume", "consume", "consume"];
    let mut processes: Vec<Process> =
        parts.iter().map(|part| Process::start(part, directory.path())).collect();
    for round in 0..ROUNDS {
        let (published, consumed) = (lines(&accepted).len(), lines(&handled).len());
        // Progress on both sides means that everyone is in the middle of it when one is killed.
        wait_until("progress", || {
            lines(&accepted).len() > published + 40 && lines(&handled).len() > consumed + 40
        });
        let at = round % parts.len();
        processes[at].assert_running();
        processes[at].kill();
        processes[at] = Process::start(parts[at], directory.path());
    }
    for publisher in &mut processes[..2] {
        publisher.kill();
    }
    let accepted: BTreeSet<String> = lines(&accepted).into_iter().collect();
    wait_until("everything accepted is handled", || {
        let handled: BTreeSet<String> = lines(&handled).into_iter().collect();
        accepted.is_subset(&handled)
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let admin = runtime.block_on(SqliteAdmin::open(&config(directory.path()), STREAM)).unwrap();
    wait_until("nothing is left claimed", || {
        let groups = runtime.block_on(admin.groups()).unwrap();
        groups.iter().all(|group| group.pending == 0 && group.lag == Some(0))
    });
    assert!(runtime.block_on(admin.dead_letters(None, BATCH)).unwrap().is_empty());
    drop(processes);
    let file = rusqlite::Connection::open(&config(directory.path()).path).unwrap();
    let integrity: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
}

#[test]
#[cfg(target_os = "linux")]
fn wakes_a_consumer_that_waits_in_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let publisher = runtime.block_on(SqlitePublisher::open(&config(directory.path()), STREAM)).unwrap();
    let _echo = Process::start("echo", directory.path());
    // Each is published when the one before is done, so the consumer has nothing else to do than wait for it.
    for round in 0..20 {
        let report = runtime.block_on(publisher.publish_batch(&[event(&round.to_string())])).unwrap();
        assert!(report.is_complete());
        wait_until("the echo", || lines(&directory.path().join("handled")).len() > round);
    }
}
