//! The sink stopped in the middle of its work: asked to end, killed, cut off from its reader.

use std::fs::OpenOptions;
use std::process::Stdio;
use std::time::{Duration, Instant};

use events_system_tests::{Running, sink};
use rustix::process::Signal;

use crate::broker::{GROUP, STREAM, pending, publish, redis, sqlite, sqs, take_until_seen, tally};

/// Enough that a pipe cannot hold them, so that the sink is in the middle of a batch when a test stops taking lines.
const MANY: usize = 4_000;

fn printing(url: &str, flags: &[&str]) -> Running {
    let mut command = sink(url, STREAM, GROUP).unwrap();
    command.args(flags);
    Running::start(command).unwrap()
}

fn drain(url: &str) -> Vec<String> {
    printing(url, &["--drain"]).finish().unwrap().success().unwrap()
}

/// Asks a sink to end in the middle of a batch; it and the sink after it print every event once.
fn sigterm_loses_and_repeats_nothing(url: &str) {
    publish(url, 0, MANY);
    let mut first = printing(url, &["--batch", "500"]);
    let mut lines = first.take_lines(700).unwrap();
    first.wait_until_stuck().unwrap();
    first.signal(Signal::TERM).unwrap();
    let finished = first.finish().unwrap();
    assert_eq!(finished.status.code(), Some(0), "{}", finished.errors);
    lines.extend(finished.lines);
    assert!(lines.len() < MANY, "it was stopped in the middle");
    lines.extend(drain(url));
    let tally = tally(&lines);
    assert_eq!(tally.len(), MANY);
    assert!(tally.values().all(|&times| times == 1), "what was printed was acknowledged before the end");
}

#[test]
fn sigterm_in_the_middle_of_a_batch_loses_nothing_on_redis() {
    let redis = redis();
    publish(redis.url(), MANY, 1);
    assert_eq!(drain(redis.url()).len(), 1);
    sigterm_loses_and_repeats_nothing(redis.url());
    assert_eq!(pending(&redis), 0);
}

#[test]
fn sigterm_in_the_middle_of_a_batch_loses_nothing_in_a_file() {
    let (_directory, url) = sqlite();
    sigterm_loses_and_repeats_nothing(&url);
}

#[test]
fn sigterm_while_nothing_comes_ends_the_sink_and_leaves_nothing_pending() {
    let redis = redis();
    publish(redis.url(), 0, 1);
    let mut idle = printing(redis.url(), &[]);
    idle.take_lines(1).unwrap();
    idle.signal(Signal::TERM).unwrap();
    assert_eq!(idle.finish().unwrap().status.code(), Some(0));
    assert_eq!(pending(&redis), 0);
    let consumers = redis.command(&["XINFO", "CONSUMERS", STREAM, GROUP]).unwrap();
    assert_eq!(consumers.array().unwrap().len(), 0, "its consumer name went with it");
}

#[test]
fn a_second_signal_ends_the_sink_at_once() {
    let redis = redis();
    publish(redis.url(), 0, MANY);
    let mut stuck = printing(redis.url(), &["--batch", "2000"]);
    stuck.take_lines(10).unwrap();
    stuck.wait_until_stuck().unwrap();
    stuck.signal(Signal::INT).unwrap();
    // The pipe is full and nobody reads, so the first signal alone cannot end it; the second one must.
    let deadline = Instant::now() + Duration::from_secs(30);
    while stuck.signal(Signal::INT).is_ok() {
        assert!(Instant::now() < deadline, "it goes on in spite of the second signal");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(stuck.finish().unwrap().status.code(), Some(130));
}

/// Kills a sink in the middle of a batch; everything is printed after a restart, and only what was in its hands twice.
fn sigkill_loses_nothing(url: &str, lease: &str) {
    publish(url, 0, MANY);
    let batch = 500;
    let mut first = printing(url, &["--batch", "500", "--lease", lease]);
    let mut lines = first.take_lines(700).unwrap();
    first.wait_until_stuck().unwrap();
    first.signal(Signal::KILL).unwrap();
    lines.extend(first.finish().unwrap().lines);
    // The kill came in the middle of a write, and so of a line.
    if lines.last().is_some_and(|last| !last.ends_with("\"}")) {
        lines.pop();
    }
    let seen = lines.len();

    let mut second = printing(url, &["--batch", "500", "--lease", lease]);
    take_until_seen(&mut second, &mut lines, MANY);
    second.signal(Signal::TERM).unwrap();
    lines.extend(second.finish().unwrap().success().unwrap());
    let repeated: usize = tally(&lines).values().map(|times| times - 1).sum();
    assert!(repeated <= batch, "{repeated} repeated, though at most {batch} of {seen} were in flight");
}

#[test]
fn sigkill_in_the_middle_of_a_batch_loses_nothing_on_redis() {
    let redis = redis();
    sigkill_loses_nothing(redis.url(), "500ms");
    assert_eq!(pending(&redis), 0);
}

#[test]
fn sigkill_in_the_middle_of_a_batch_loses_nothing_in_a_file() {
    let (_directory, url) = sqlite();
    sigkill_loses_nothing(&url, "500ms");
}

#[test]
fn sigkill_in_the_middle_of_a_batch_loses_nothing_on_sqs() {
    let (_emulator, url) = sqs("killed");
    sigkill_loses_nothing(&url, "5s");
}

#[test]
fn a_closed_pipe_ends_the_sink_quietly_and_nothing_unread_is_acknowledged() {
    let redis = redis();
    publish(redis.url(), 0, MANY);
    let mut first = printing(redis.url(), &["--batch", "50"]);
    let mut lines = first.take_lines(120).unwrap();
    first.wait_until_stuck().unwrap();
    first.close_output().unwrap();
    let finished = first.finish().unwrap();
    assert_eq!(finished.status.code(), Some(0), "{}", finished.errors);
    assert!(!finished.errors.contains("ERROR"), "{}", finished.errors);

    // What the first sink wrote into the pipe after the last line that was read went with the pipe: at most what a pipe
    // and a batch hold. Everything else comes again, and
    // at once, since the sink gave back what it had not written.
    lines.extend(drain(redis.url()));
    let missing = MANY - tally(&lines).len();
    let held_by_a_pipe = 64 * 1024 / lines[0].len() + 64;
    assert!(missing <= held_by_a_pipe, "{missing} events went missing, a pipe holds {held_by_a_pipe}");
}

#[test]
fn what_cannot_be_written_is_not_acknowledged() {
    let redis = redis();
    publish(redis.url(), 0, 10);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = sink(redis.url(), STREAM, GROUP).unwrap();
    let output =
        command.arg("--drain").stdin(Stdio::null()).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("standard output"), "{errors}");
    // They were given back when the sink ended, so nobody has to wait for a lease.
    assert_eq!(tally(&drain(redis.url())).len(), 10);
}
