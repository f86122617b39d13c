//! The main job: one process publishes, another prints and acknowledges.

use std::process::Command;

use events_system_tests::{Running, command, events, sink};
use serde_json::{Value, json};

use crate::broker::{GROUP, STREAM, line, pending, publish, redis, sqlite, tally};

fn run(command: Command) -> Vec<String> {
    Running::start(command).unwrap().finish().unwrap().success().unwrap()
}

fn drain(url: &str) -> Vec<String> {
    let mut command = sink(url, STREAM, GROUP).unwrap();
    command.arg("--drain");
    run(command)
}

/// Publishes the one event of the issue and returns what the sink prints of it.
fn prints_exactly_the_event(url: &str) {
    let input = "{\"event_type\":\"a.b\",\"source\":\"s\",\"payload\":{\"n\":1}}\n";
    let publish = events("publish", url, STREAM).unwrap();
    Running::start_with_input(publish, input).unwrap().finish().unwrap().success().unwrap();

    let lines = drain(url);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let event: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(event["version"], 1);
    assert_eq!(event["event_type"], "a.b");
    assert_eq!(event["source"], "s");
    assert_eq!(event["payload"], json!({"n": 1}));
    assert!(event["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(event["id"].as_str().unwrap().len(), 36);
    assert_eq!(event.as_object().unwrap().len(), 6);
    assert!(drain(url).is_empty(), "what was printed was acknowledged");
}

#[test]
fn what_is_published_on_redis_is_printed_once_and_acknowledged() {
    let redis = redis();
    prints_exactly_the_event(redis.url());
    assert_eq!(pending(&redis), 0);
}

#[test]
fn what_is_published_to_a_file_is_printed_once_and_acknowledged() {
    let (_directory, url) = sqlite();
    prints_exactly_the_event(&url);
}

#[test]
fn the_embedded_default_needs_no_configuration_at_all() {
    let home = tempfile::tempdir().unwrap();
    let in_home = |name: &str| {
        let mut command = command(name).unwrap();
        command.env("HOME", home.path());
        command
    };
    let mut publish = in_home("events");
    publish.args(["publish", "--type", "a.b", "--source", "s", "--payload", "{\"n\":7}"]);
    run(publish);
    let mut print = in_home("event-log-sink");
    print.arg("--drain");
    let lines = run(print);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with(" type=a.b source=s payload={\"n\":7}"), "{lines:?}");
}

#[test]
fn two_processes_share_one_file_while_both_are_at_work() {
    let (_directory, url) = sqlite();
    let count = 2_000;
    let mut printer = sink(&url, STREAM, GROUP).unwrap();
    printer.args(["--limit", &(2 * count).to_string()]);
    let printer = Running::start(printer).unwrap();
    let producers: Vec<Running> = [0, count]
        .into_iter()
        .map(|first| {
            let input: String = (first..first + count).map(|n| line(n) + "\n").collect();
            Running::start_with_input(events("publish", &url, STREAM).unwrap(), input).unwrap()
        })
        .collect();
    for producer in producers {
        producer.finish().unwrap().success().unwrap();
    }
    let lines = printer.finish().unwrap().success().unwrap();
    let tally = tally(&lines);
    assert_eq!(tally.len(), 2 * count);
    assert!(tally.values().all(|&times| times == 1));
    assert!(drain(&url).is_empty());
}

#[test]
fn a_bad_line_is_reported_by_number_and_the_good_ones_are_published() {
    let redis = redis();
    let input = format!("{}\nnot json\n{}\n{{\"event_type\":\"Bad\",\"source\":\"s\"}}\n", line(1), line(2));
    let publish = events("publish", redis.url(), STREAM).unwrap();
    let finished = Running::start_with_input(publish, input).unwrap().finish().unwrap();
    assert_eq!(finished.status.code(), Some(1), "{}", finished.errors);
    for number in ["line 2", "line 4"] {
        assert!(finished.errors.contains(number), "{}", finished.errors);
    }
    assert_eq!(tally(&drain(redis.url())).into_keys().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_dry_run_leaves_the_group_exactly_as_it_was() {
    let redis = redis();
    publish(redis.url(), 0, 3);
    let groups = || redis.command(&["XINFO", "GROUPS", STREAM]).unwrap();
    let before = groups();
    for _ in 0..2 {
        let mut command = sink(redis.url(), STREAM, GROUP).unwrap();
        command.args(["--drain", "--dry-run"]);
        assert_eq!(tally(&run(command)).len(), 3);
        assert_eq!(groups(), before);
    }
    assert_eq!(tally(&drain(redis.url())).len(), 3);
    let before = groups();
    let mut command = sink(redis.url(), STREAM, GROUP).unwrap();
    command.args(["--drain", "--dry-run"]);
    assert!(run(command).is_empty());
    assert_eq!(groups(), before);
}
