//! `events dlq`: which dead letters are meant, and that no other is touched.

use crate::broker::{STREAM, redis, sqlite};
use crate::verbs::{json, lines, run};
use events_system_tests::{events, sink};

/// Three dead letters in each of two groups, which take another encoding than the one of the events.
fn six(url: &str) {
    for (event_type, source) in [("slack.join", "slack"), ("github.push", "github"), ("slack.leave", "slack")]
    {
        let mut publish = events("publish", url, STREAM).unwrap();
        publish.args(["--type", event_type, "--source", source]);
        run(publish).success().unwrap();
    }
    for group in ["billing", "mirror"] {
        let mut bury = sink(url, STREAM, group).unwrap();
        bury.args(["--encoding", "cloudevents", "--drain"]);
        assert!(run(bury).success().unwrap().is_empty());
    }
}

/// The groups and types of the dead letters that are meant.
fn found(url: &str, words: &[&str]) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let letters = json(&lines(url, &[&["dlq", "list", "--format", "json"], words].concat()));
    letters.iter().map(|letter| (text(&letter["group"]), text(&letter["event_type"]))).collect()
}

fn a_filter_means_what_matches_and_nothing_else(url: &str) {
    six(url);
    for (words, count) in [
        (&[][..], 6),
        (&["--type", "slack.*"], 4),
        (&["--source", "github"], 2),
        (&["--type", "slack.*", "--source", "github"], 0),
        (&["--type", "*.join", "--type", "*.push"], 4),
        (&["--group", "billing", "--type", "slack.*"], 2),
        (&["--group", "billing", "--group", "mirror"], 6),
        (&["--reason", "undecodable", "--newer-than", "1h"], 6),
        (&["--newer-than", "1h", "--older-than", "1h"], 0),
        (&["--limit", "2"], 2),
    ] {
        assert_eq!(found(url, words).len(), count, "{words:?}");
    }
    assert_eq!(lines(url, &["dlq", "list", "--reason", "rejected"]), ["no dead letter matches"]);
    let letters = json(&lines(url, &["dlq", "list", "--format", "json"]));
    let ids: Vec<&str> = letters.iter().map(|letter| letter["id"].as_str().unwrap()).collect();
    assert_eq!(json(&lines(url, &["dlq", "show", "--format", "json", ids[0], ids[4]])).len(), 2);

    let chosen = ["--group", "billing", "--type", "slack.*"];
    let dry = lines(url, &[&["dlq", "redrive", "--dry-run"], &chosen[..]].concat());
    assert_eq!(dry.len(), 4, "a header, two of them and what would be done: {dry:?}");
    assert_eq!(dry[3], "would redrive 2 dead letters");
    assert_eq!(found(url, &[]).len(), 6, "nothing was done");
    let done = lines(url, &[&["dlq", "redrive", "--confirm", "2"], &chosen[..]].concat());
    assert_eq!(done, ["redriven 2 dead letters"]);
    assert_eq!(found(url, &["--group", "billing"]), [("billing".to_owned(), "github.push".to_owned())]);

    // They come to their group, and to no other.
    for (group, count) in [("billing", 2), ("mirror", 0)] {
        let mut take = sink(url, STREAM, group).unwrap();
        take.arg("--drain");
        assert_eq!(run(take).success().unwrap().len(), count, "{group}");
    }
    assert_eq!(
        lines(url, &["dlq", "purge", "--source", "github", "--confirm", "2"]),
        ["purged 2 dead letters"]
    );
    let mirror = |event_type: &str| ("mirror".to_owned(), event_type.to_owned());
    assert_eq!(found(url, &[]), [mirror("slack.join"), mirror("slack.leave")]);
}

#[test]
fn a_filter_means_what_matches_and_nothing_else_on_redis() {
    a_filter_means_what_matches_and_nothing_else(redis().url());
}

#[test]
fn a_filter_means_what_matches_and_nothing_else_in_a_file() {
    a_filter_means_what_matches_and_nothing_else(&sqlite().1);
}
