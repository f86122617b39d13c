//! What the tests share: a broker each, events to publish, and the truth about what is left.

use std::collections::{BTreeMap, BTreeSet};

use events_system_tests::{Running, events};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_servers::{AwsEmulator, AwsEmulatorKind, RedisServer};

/// The stream key of every test: each has its own server or file.
pub(crate) const STREAM: &str = "system:events";

/// The group of every test.
pub(crate) const GROUP: &str = "g";

/// A Redis server of the test's own.
pub(crate) fn redis() -> RedisServer {
    RedisServer::start().unwrap()
}

/// An embedded file of the test's own, and its URL.
pub(crate) fn sqlite() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("events.db").display());
    (directory, url)
}

/// An emulator of AWS of the test's own, and the URL of a queue in it that `events ensure` made.
pub(crate) fn sqs(name: &str) -> (AwsEmulator, String) {
    let emulator = AwsEmulator::start(AwsEmulatorKind::Ministack).unwrap();
    let url = format!("sqs:{}/000000000000/{name}", emulator.url());
    let ensuring = Running::start(events("ensure", &url, STREAM).unwrap()).unwrap();
    ensuring.finish().unwrap().success().unwrap();
    (emulator, url)
}

/// One event as a line for `events publish`.
pub(crate) fn line(n: usize) -> String {
    json!({"event_type": "slack-usergroups.update_users", "source": "qontract-api", "payload": {"n": n}})
        .to_string()
}

/// Publishes events numbered from `first` on with one `events publish`.
pub(crate) fn publish(url: &str, first: usize, count: usize) {
    let input: String = (first..first + count).map(|n| line(n) + "\n").collect();
    let running = Running::start_with_input(events("publish", url, STREAM).unwrap(), input).unwrap();
    running.finish().unwrap().success().unwrap();
}

/// The number an event carries.
pub(crate) fn number(line: &str) -> usize {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    event["payload"]["n"].as_u64().unwrap_or_else(|| panic!("no number: {line}")) as usize
}

/// How often each number was printed.
pub(crate) fn tally<'a>(lines: impl IntoIterator<Item = &'a String>) -> BTreeMap<usize, usize> {
    let mut tally = BTreeMap::new();
    for line in lines {
        *tally.entry(number(line)).or_default() += 1;
    }
    tally
}

/// Takes lines from `running` until all of them together carry `count` different numbers.
pub(crate) fn take_until_seen(running: &mut Running, lines: &mut Vec<String>, count: usize) {
    let mut seen: BTreeSet<usize> = lines.iter().map(|line| number(line)).collect();
    while seen.len() < count {
        let line = running.line().unwrap().expect("it ended before it had printed everything");
        seen.insert(number(&line));
        lines.push(line);
    }
}

/// Entries of the group that are delivered and not acknowledged, as Redis itself counts them.
pub(crate) fn pending(redis: &RedisServer) -> i64 {
    let summary = redis.command(&["XPENDING", STREAM, GROUP]).unwrap();
    summary.array().unwrap()[0].integer().unwrap()
}
