//! What the sink prints, to people and to programs.

use events_system_tests::{Running, events, sink};

use crate::broker::{GROUP, STREAM, redis};

fn print(url: &str, flags: &[&str]) -> Vec<String> {
    let mut command = sink(url, STREAM, GROUP).unwrap();
    command.arg("--drain").args(flags);
    Running::start(command).unwrap().finish().unwrap().success().unwrap()
}

#[test]
fn an_events_control_characters_never_reach_the_terminal() {
    let redis = redis();
    let payload = "{\"a\":\"\u{9b}31m\u{7f}\u{202e}\\u001b[31m\"}";
    let body =
        format!("{{\"event_type\":\"a.b\\u001b[2J\",\"source\":\"s\\nfake line\",\"payload\":{payload}}}");
    redis.command(&["XADD", STREAM, "*", "event", &body]).unwrap();
    for format in ["text", "json", "pretty", "logfmt"] {
        let group = ["--consumer-group", format, "--format", format];
        let lines = print(redis.url(), &group);
        let printed = lines.join("\n");
        let raw = printed.chars().find(|&c| (c.is_control() && c != '\n') || c == '\u{202e}');
        assert_eq!(raw, None, "{format}: {printed:?}");
        if format != "pretty" {
            assert_eq!(lines.len(), 1, "{format}: {printed:?}");
        }
    }
}

#[test]
fn filters_print_what_matches_and_acknowledge_the_rest() {
    let redis = redis();
    for kind in ["slack.join", "slack.leave", "github.push"] {
        let mut publish = events("publish", redis.url(), STREAM).unwrap();
        publish.args(["--type", kind, "--source", "s", "--payload", "{}"]);
        Running::start(publish).unwrap().finish().unwrap().success().unwrap();
    }
    assert_eq!(print(redis.url(), &["--type", "slack.*"]).len(), 2);
    assert!(print(redis.url(), &[]).is_empty());
}

#[test]
fn a_limit_takes_no_more_than_it_prints() {
    let redis = redis();
    crate::broker::publish(redis.url(), 0, 10);
    let mut command = sink(redis.url(), STREAM, GROUP).unwrap();
    command.args(["--limit", "3"]);
    let lines = Running::start(command).unwrap().finish().unwrap().success().unwrap();
    assert_eq!(lines.len(), 3);
    assert_eq!(print(redis.url(), &[]).len(), 7);
}

#[test]
fn an_undecodable_entry_becomes_a_dead_letter_and_its_neighbours_are_printed() {
    let redis = redis();
    for event in
        ["{\"event_type\":\"a.b\",\"source\":\"1\"}", "not json", "{\"event_type\":\"a.b\",\"source\":\"2\"}"]
    {
        redis.command(&["XADD", STREAM, "*", "event", event]).unwrap();
    }
    assert_eq!(print(redis.url(), &[]).len(), 2);
    let dead = redis.command(&["XLEN", "{system:events}:dlq"]).unwrap();
    assert_eq!(dead.integer(), Some(1));
    assert_eq!(crate::broker::pending(&redis), 0);
}
