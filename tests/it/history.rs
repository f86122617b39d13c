//! `events tail`, `replay` and `trim` take from a stream's history what they are asked for, and no more.

use std::time::{Duration, Instant};

use events_system_tests::{Running, events, sink};
use rustix::process::Signal;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::broker::{GROUP, STREAM, publish, redis, sqlite};
use crate::verbs::{json, lines, run, verb};

/// Publishes an event of this type and source.
fn happen(url: &str, event_type: &str, source: &str) {
    let mut publishing = events("publish", url, STREAM).unwrap();
    publishing.args(["--type", event_type, "--source", source]);
    run(publishing).success().unwrap();
}

/// A time between what was published before and what will be.
fn now() -> String {
    // Brokers tell times to the millisecond.
    std::thread::sleep(Duration::from_millis(5));
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    now
}

/// The types of the events a verb prints, without what comes before their last dot.
fn printed(url: &str, words: &[&str]) -> String {
    let events = json(&lines(url, &[words, &["--format", "json"]].concat()));
    let types = events.iter().map(|event| event["event_type"].as_str().unwrap().rsplit('.').next().unwrap());
    types.collect::<Vec<_>>().join(" ")
}

/// A stream of five events of two sources, with the id of the second and a time between the third and the fourth.
fn five(url: &str) -> (String, String) {
    happen(url, "slack.one", "slack");
    happen(url, "github.two", "github-eu");
    happen(url, "slack.three", "slack");
    let between = now();
    happen(url, "slack.users.four", "slack");
    happen(url, "github.five", "github-us");
    let logfmt = lines(url, &["replay", "--format", "logfmt"]);
    let id = logfmt[1].split(" message_id=").nth(1).unwrap().split(' ').next().unwrap();
    (id.to_owned(), between)
}

fn history_is_told_by_place_and_filter(url: &str) {
    let (second, between) = five(url);
    let all = "one two three four five";
    for (words, wanted) in [
        (&["--from", "earliest"][..], all),
        (&["--from", &second], "three four five"),
        (&["--from", &between], "four five"),
        (&["--from", "earliest", "--limit", "2"], "one two"),
        (&["--from", "earliest", "--type", "slack.*"], "one three four"),
        (&["--from", "earliest", "--type", "*.one", "--type", "*.five"], "one five"),
        (&["--from", "earliest", "--source", "github-??"], "two five"),
        (&["--from", "earliest", "--type", "*.t*", "--source", "slack"], "three"),
        (&["--from", "earliest", "--type", "slack.*", "--limit", "2"], "one three"),
        (&["--from", "earliest", "--type", "slack"], ""),
    ] {
        assert_eq!(printed(url, &[&["tail", "--no-follow"], words].concat()), wanted, "tail {words:?}");
        assert_eq!(printed(url, &[&["replay"], words].concat()), wanted, "replay {words:?}");
    }
    for (words, wanted) in [
        (&["tail", "--no-follow"][..], ""),
        (&["replay"], all),
        (&["replay", "--to", &second], "one two"),
        (&["replay", "--to", &between], "one two three"),
        (&["replay", "--from", &second, "--to", &between], "three"),
        (&["replay", "--from", &between, "--to", &second], ""),
    ] {
        assert_eq!(printed(url, words), wanted, "{words:?}");
    }

    // What passes the filter is moved, and nothing else.
    let (_directory, to) = sqlite();
    let moved = ["replay", "--to-url", &to, "--source", "slack", "--from", &second];
    assert_eq!(lines(url, &moved), ["published 2 events"]);
    assert_eq!(printed(&to, &["replay"]), "three four");
}

#[test]
fn history_is_told_by_place_and_filter_on_redis() {
    history_is_told_by_place_and_filter(redis().url());
}

#[test]
fn history_is_told_by_place_and_filter_in_a_file() {
    history_is_told_by_place_and_filter(&sqlite().1);
}

/// From the newest event on, until somebody asks it to end.
fn tail_prints_what_comes(url: &str) {
    happen(url, "a.before", "s");
    let mut tail = Running::start(verb(url, &["tail", "--type", "*.wanted", "--format", "json"])).unwrap();
    // Nobody says when it has begun, so things happen until it has.
    let end = Instant::now() + Duration::from_secs(60);
    let seen = std::thread::scope(|scope| {
        let line = scope.spawn(|| tail.line().unwrap());
        while !line.is_finished() {
            assert!(Instant::now() < end, "it prints nothing");
            happen(url, "a.other", "s");
            happen(url, "a.wanted", "s");
        }
        line.join().unwrap()
    });
    assert!(seen.unwrap().contains("\"a.wanted\""));
    tail.signal(Signal::TERM).unwrap();
    let finished = tail.finish().unwrap();
    assert_eq!(finished.status.code(), Some(0), "{}", finished.errors);
    assert!(finished.lines.iter().all(|line| line.contains("\"a.wanted\"")), "{:?}", finished.lines);
}

#[test]
fn tail_prints_what_comes_on_redis() {
    tail_prints_what_comes(redis().url());
}

#[test]
fn tail_prints_what_comes_in_a_file() {
    tail_prints_what_comes(&sqlite().1);
}

/// History that every group has finished goes when it is old.
fn trim_goes_by_age(url: &str) {
    publish(url, 0, 10);
    let mut consume = sink(url, STREAM, GROUP).unwrap();
    consume.args(["--limit", "4", "--batch", "1"]);
    run(consume).success().unwrap();
    assert_eq!(lines(url, &["trim", "--max-age", "1h"]), ["removed 0 events"]);
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(lines(url, &["trim", "--max-age", "1ms"]), ["removed 4 events"]);
    assert_eq!(lines(url, &["replay"]).len(), 6);
}

#[test]
fn trim_goes_by_age_on_redis() {
    trim_goes_by_age(redis().url());
}

#[test]
fn trim_goes_by_age_in_a_file() {
    trim_goes_by_age(&sqlite().1);
}
