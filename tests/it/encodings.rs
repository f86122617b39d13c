//! An encoding is a word on the command line, and the same word everywhere.

use std::process::Command;

use events_system_tests::{Finished, Running, command, sink};
use test_servers::RedisServer;

use crate::broker::{GROUP, STREAM, redis};

const NAMES: [&str; 5] = ["adr018", "cloudevents", "cloudevents-binary", "faststream", "faststream-json"];

fn run(command: Command) -> Finished {
    Running::start(command).unwrap().finish().unwrap()
}

fn verb(url: &str, words: &[&str]) -> Command {
    let mut command = command("events").unwrap();
    command.args(words).args(["--url", url, "--stream-key", STREAM]);
    command
}

/// A stream with one event of each encoding, of the type `a.<encoding>`, with a header and trace context.
fn one_of_each() -> RedisServer {
    let redis = redis();
    for name in NAMES {
        let event_type = format!("a.{name}");
        let words = ["publish", "--type", &event_type, "--source", "s", "--encoding", name];
        let headers = ["--header", "tenant=x", "--header", "traceparent=00-1"];
        run(verb(redis.url(), &[&words[..], &headers].concat())).success().unwrap();
    }
    redis
}

#[test]
fn publish_writes_the_encoding_it_is_told_and_tail_prints_the_one_it_is_told() {
    let redis = one_of_each();
    let entries = format!("{:?}", redis.command(&["XRANGE", STREAM, "-", "+"]).unwrap());
    for sign in ["{\\\"version\\\":", "{\\\"specversion\\\":", "\"ce_specversion\"", "BIN", "{\\\"data\\\":"]
    {
        assert!(entries.contains(sign), "{sign}: {entries}");
    }
    let tail = ["tail", "--from", "earliest", "--no-follow", "--format", "logfmt"];
    let all = run(verb(redis.url(), &tail)).success().unwrap();
    assert_eq!(all.len(), NAMES.len());
    for line in &all {
        assert!(line.contains("tenant") && line.contains("00-1"), "{line}");
    }
    for name in NAMES {
        let lines = run(verb(redis.url(), &[&tail[..], &["--encoding", name]].concat())).success().unwrap();
        // Whoever reads one form of FastStream reads the other.
        let wanted = |line: &&String| {
            line.contains(&format!("a.{name}")) || (name.starts_with("fast") && line.contains("a.fast"))
        };
        assert_eq!(lines.iter().filter(wanted).count(), lines.len(), "{name}: {lines:?}");
        assert_eq!(lines.len(), if name.starts_with("fast") { 2 } else { 1 }, "{name}");
    }
}

#[test]
fn the_sink_takes_the_encoding_it_is_told_and_the_rest_are_dead_letters_with_a_reason() {
    let redis = one_of_each();
    let mut command = sink(redis.url(), STREAM, GROUP).unwrap();
    command.args(["--encoding", "cloudevents", "--drain"]);
    let printed = run(command).success().unwrap();
    assert_eq!(printed.len(), 1, "{printed:?}");
    assert!(printed[0].contains(r#""event_type":"a.cloudevents""#), "{printed:?}");
    let letters = run(verb(redis.url(), &["dlq", "list", "--format", "json"])).success().unwrap();
    assert_eq!(letters.len(), NAMES.len() - 1);
    for letter in &letters {
        assert!(letter.contains("undecodable") && letter.contains("not `cloudevents`"), "{letter}");
    }
}

#[test]
fn a_typo_is_answered_with_every_name() {
    for words in [
        &["publish", "--encoding", "cloudevent"][..],
        &["tail", "--encoding", "cloudevent"],
        &["replay", "--to-encoding", "cloudevent"],
    ] {
        typo(verb("memory:", words));
    }
    let mut command = sink("memory:", STREAM, GROUP).unwrap();
    command.args(["--encoding", "cloudevent"]);
    typo(command);
}

fn typo(command: Command) {
    let finished = run(command);
    assert_eq!(finished.status.code(), Some(2), "{}", finished.errors);
    for name in NAMES {
        assert!(finished.errors.contains(name), "{name}: {}", finished.errors);
    }
}
