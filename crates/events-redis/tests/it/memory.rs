//! How much memory publishing takes while the server is away.

use std::num::NonZeroU64;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events_core::{Event, EventPublisher};
use events_redis::RedisPublisher;
use tokio::time::Instant;

use crate::support::*;

const MIB: u64 = 1024 * 1024;

/// How many bytes may wait to be sent.
const BOUND: u64 = 8 * MIB;

/// How many publish at once, each a batch that lies encoded with its caller until there is room for it.
const CALLERS: u64 = 64;

/// What memory may grow by: all of that, twice over.
const LIMIT: u64 = 2 * (BOUND + CALLERS * (BATCH_OF * EVENT) as u64);

const EVENT: usize = 64 * 1024;

const BATCH_OF: usize = 4;

/// Set for the process that measures itself.
const ALONE: &str = "EVENTS_TEST_ALONE";

/// Whether this process runs nothing but the test `name`; if not, it is run in a process that does.
fn is_alone(name: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("a test is a program");
    let output = Command::new(program).args(["--exact", name, "--nocapture"]).env(ALONE, "1").output();
    let output = output.expect("the program runs again");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

/// A line of `/proc/self/status`, in bytes.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells how much memory is used");
    let found = status.lines().find_map(|text| text.strip_prefix(line)).expect("the line is there");
    found.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().expect("a number of KiB") * 1024
}

/// Publishes as hard as it can until so many bytes were tried.
async fn publish_hard(publisher: &Arc<RedisPublisher>, bytes: u64) {
    let attempted = Arc::new(AtomicU64::new(0));
    let text = "x".repeat(EVENT);
    let event =
        Event::new("order.placed", "shop", serde_json::json!({ "text": text })).expect("a valid event");
    let batch = Arc::new(vec![event; BATCH_OF]);
    let tasks = (0..CALLERS).map(|_| {
        let (publisher, batch) = (Arc::clone(publisher), Arc::clone(&batch));
        let attempted = Arc::clone(&attempted);
        tokio::spawn(async move {
            while attempted.load(Ordering::Relaxed) < bytes {
                let report = publisher.publish_batch(&batch).await.expect("the batch is sent");
                let error = report.into_ids().expect_err("there is no server to accept it");
                assert!(error.is_transient(), "{error:?}");
                attempted.fetch_add((batch.len() * EVENT) as u64, Ordering::Relaxed);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("the task ends");
    }
}

async fn stays_bounded(frozen: bool) {
    let mut server = server();
    let config = config(&server)
        .with_command_timeout(Duration::from_millis(100))
        .with_max_queued_bytes(NonZeroU64::new(BOUND).expect("not zero"));
    let publisher = Arc::new(RedisPublisher::connect(&config, STREAM).await.expect("a publisher"));
    publish(&publisher, 0..2).await;
    if frozen {
        server.freeze().expect("the server freezes");
    } else {
        server.kill().expect("the server is killed");
    }
    // What the first moments take is taken once.
    publish_hard(&publisher, LIMIT).await;
    let before = memory("VmRSS:");
    publish_hard(&publisher, 8 * LIMIT).await;
    let grown = memory("VmHWM:").saturating_sub(before);
    assert!(grown < LIMIT, "memory grew by {grown} bytes");
    if frozen {
        server.thaw().expect("the server continues");
    } else {
        server.restart().expect("the server starts again");
    }
    let end = Instant::now() + DEADLINE;
    while publisher.publish_batch(&numbered(0..1)).await.expect("the batch is sent").into_ids().is_err() {
        assert!(Instant::now() < end, "nothing is accepted once the server is back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_does_not_fill_memory() {
    if is_alone("memory::a_server_that_is_gone_does_not_fill_memory") {
        stays_bounded(false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_silent_does_not_fill_memory() {
    if is_alone("memory::a_server_that_is_silent_does_not_fill_memory") {
        stays_bounded(true).await;
    }
}
