//! The broker away, killed and flushed under running programs.

use std::time::{Duration, Instant};

use events_system_tests::{Running, events, sink};
use rustix::process::Signal;
use test_servers::RedisServer;

use crate::broker::{GROUP, STREAM, line, pending, publish, redis, take_until_seen, tally};

#[test]
fn the_sink_prints_once_a_broker_that_was_down_at_start_is_up() {
    let mut redis = redis();
    let url = redis.url().to_owned();
    redis.kill().unwrap();
    let mut waiting = Running::start(sink(&url, STREAM, GROUP).unwrap()).unwrap();
    redis.restart().unwrap();
    publish(&url, 0, 5);
    assert_eq!(tally(&waiting.take_lines(5).unwrap()).len(), 5);
    waiting.signal(Signal::TERM).unwrap();
    waiting.finish().unwrap().success().unwrap();
    assert_eq!(pending(&redis), 0);
}

#[test]
fn nothing_accepted_is_lost_when_the_broker_is_killed_and_restarted_under_load() {
    let mut redis = RedisServer::builder().with_append_only_file().start().unwrap();
    let url = redis.url().to_owned();
    let mut printer = sink(&url, STREAM, GROUP).unwrap();
    printer.args(["--lease", "1s"]);
    let mut printer = Running::start(printer).unwrap();
    let count = 5_000;
    let input: String = (0..count).map(|n| line(n) + "\n").collect();
    let producer = Running::start_with_input(events("publish", &url, STREAM).unwrap(), input).unwrap();
    let mut lines = printer.take_lines(100).unwrap();
    redis.kill().unwrap();
    redis.restart().unwrap();
    producer.finish().unwrap().success().unwrap();
    take_until_seen(&mut printer, &mut lines, count);
    printer.signal(Signal::TERM).unwrap();
    printer.finish().unwrap().success().unwrap();
    assert_eq!(pending(&redis), 0);
}

#[test]
fn reading_goes_on_after_the_server_was_flushed() {
    let redis = redis();
    publish(redis.url(), 0, 3);
    let mut printer = Running::start(sink(redis.url(), STREAM, GROUP).unwrap()).unwrap();
    printer.take_lines(3).unwrap();
    redis.command(&["FLUSHALL"]).unwrap();
    publish(redis.url(), 3, 3);
    let after = printer.take_lines(3).unwrap();
    assert_eq!(tally(&after).into_keys().collect::<Vec<_>>(), [3, 4, 5]);
    printer.signal(Signal::TERM).unwrap();
    let finished = printer.finish().unwrap();
    assert_eq!(finished.errors.matches("WARN").count(), 1, "one warning: {}", finished.errors);
    finished.success().unwrap();
}

#[test]
fn a_wrong_password_is_one_clear_error() {
    let redis = RedisServer::builder().with_password("right").start().unwrap();
    let url = format!("redis://:wrong-secret@127.0.0.1:{}", redis.port());
    let started = Instant::now();
    let finished = Running::start(sink(&url, STREAM, GROUP).unwrap()).unwrap().finish().unwrap();
    assert!(!finished.status.success());
    assert!(!finished.errors.contains("wrong-secret"), "{}", finished.errors);
    assert!(started.elapsed() < Duration::from_secs(30), "it hangs instead of saying so");
}
