//! The verbs of `events` that look at a stream and mend it, on every backend that has what they need.

use std::collections::BTreeSet;
use std::process::Command;

use events_system_tests::{Finished, Running, command, events, sink};
use serde_json::Value;
use test_servers::RedisServer;

use crate::broker::{GROUP, STREAM, publish, redis, sqlite, tally};

/// What a verb left.
pub(crate) fn run(command: Command) -> Finished {
    Running::start(command).unwrap().finish().unwrap()
}

/// The lines of a verb that ended well.
pub(crate) fn lines(url: &str, words: &[&str]) -> Vec<String> {
    run(verb(url, words)).success().unwrap()
}

pub(crate) fn verb(url: &str, words: &[&str]) -> Command {
    let mut command = command("events").unwrap();
    command.args(words).args(["--url", url, "--stream-key", STREAM]);
    command
}

pub(crate) fn json(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Consumes `limit` events.
fn consume(url: &str, limit: usize) {
    let mut command = sink(url, STREAM, GROUP).unwrap();
    command.args(["--limit", &limit.to_string(), "--batch", "1"]);
    assert_eq!(run(command).success().unwrap().len(), limit);
}

/// A server whose stream has two bad entries among good ones, both dead by now.
fn with_dead_letters() -> RedisServer {
    let redis = redis();
    for body in ["not json", "{\"event_type\":\"a.b\",\"source\":\"s\"}", "{\"event_type\":1}"] {
        redis.command(&["XADD", STREAM, "*", "event", body]).unwrap();
    }
    let mut command = sink(redis.url(), STREAM, GROUP).unwrap();
    command.arg("--drain");
    assert_eq!(run(command).success().unwrap().len(), 1);
    redis
}

fn groups_tell_how_far_each_is(url: &str) {
    publish(url, 0, 2);
    assert!(lines(url, &["groups"])[0].contains("no consumer group"));
    assert!(lines(url, &["groups", "--format", "json"]).is_empty());
    consume(url, 2);
    publish(url, 2, 3);
    let found = json(&lines(url, &["groups", "--format", "json"]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["group"], GROUP);
    assert_eq!(found[0]["lag"], 3);
    assert_eq!(found[0]["pending"], 0);
    assert_eq!(found[0]["oldest_pending_seconds"], Value::Null);
    let table = lines(url, &["groups"]);
    assert_eq!(table.len(), 2, "{table:?}");
    assert_eq!(table[0].split_whitespace().collect::<Vec<_>>(), ["GROUP", "LAG", "PENDING", "OLDEST"]);
    assert_eq!(table[1].split_whitespace().collect::<Vec<_>>(), [GROUP, "3", "0", "-"]);
}

#[test]
fn groups_tell_how_far_each_is_on_redis() {
    groups_tell_how_far_each_is(redis().url());
}

#[test]
fn groups_tell_how_far_each_is_in_a_file() {
    groups_tell_how_far_each_is(&sqlite().1);
}

/// Events that nobody settles, in the hands of a consumer that died.
#[test]
fn pending_tells_who_holds_what() {
    let redis = redis();
    publish(redis.url(), 0, 3);
    redis.command(&["XGROUP", "CREATE", STREAM, GROUP, "0"]).unwrap();
    assert!(lines(redis.url(), &["pending"])[0].contains("no consumer"));
    let ghost = ["XREADGROUP", "GROUP", GROUP, "ghost", "COUNT", "2", "STREAMS", STREAM, ">"];
    redis.command(&ghost).unwrap();
    let found = json(&lines(redis.url(), &["pending", "--format", "json", "--group", GROUP]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["consumer"], &found[0]["pending"]), (&Value::from("ghost"), &Value::from(2)));
    assert!(found[0]["inactive_seconds"].is_f64(), "{found:?}");
    assert!(lines(redis.url(), &["pending", "--format", "json", "--group", "other"]).is_empty());
    let table = lines(redis.url(), &["pending"]);
    assert!(table[1].starts_with(GROUP) && table[1].contains("ghost"), "{table:?}");

    // A group that is misspelled is no group that holds nothing.
    let misspelled = run(verb(redis.url(), &["pending", "--group", "ghots"]));
    assert!(misspelled.errors.contains(&format!("there are: {GROUP}")), "{}", misspelled.errors);

    // Each event by itself: the first was delivered once more.
    let id = redis.command(&["XPENDING", STREAM, GROUP, "-", "+", "1"]).unwrap().array().unwrap()[0]
        .array()
        .unwrap()[0]
        .text()
        .unwrap()
        .to_owned();
    redis.command(&["XCLAIM", STREAM, GROUP, "other", "0", &id, "IDLE", "90000"]).unwrap();
    let found = json(&lines(redis.url(), &["pending", "--events", "--format", "json"]));
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((&found[0]["id"], &found[0]["consumer"]), (&Value::from(id.as_str()), &Value::from("other")));
    assert_eq!((&found[0]["deliveries"], &found[1]["deliveries"]), (&Value::from(2), &Value::from(1)));
    assert!(
        found[0]["idle_seconds"].as_f64().unwrap() >= 90.0 && found[1]["consumer"] == "ghost",
        "{found:?}"
    );
    let table = lines(redis.url(), &["pending", "--events", "--limit", "1"]);
    assert_eq!(
        table[0].split_whitespace().collect::<Vec<_>>(),
        ["GROUP", "ID", "CONSUMER", "DELIVERIES", "IDLE"]
    );
    assert_eq!(table[1].split_whitespace().collect::<Vec<_>>()[..4], [GROUP, &id, "other", "2"]);
    assert!(
        table[1].ends_with("1m30s") && table[2].starts_with("and 1 more") && table.len() == 3,
        "{table:?}"
    );
    assert_eq!(
        run(verb(redis.url(), &["pending", "--limit", "1"])).status.code(),
        Some(2),
        "a limit of what?"
    );
}

/// What a sink gave back that could not write: known to the file as on a server, and by whom.
#[test]
fn pending_tells_who_held_what_in_a_file() {
    let (_directory, url) = sqlite();
    publish(&url, 0, 3);
    assert_eq!(lines(&url, &["pending", "--events"]), [format!("nothing of {STREAM} is pending")]);
    let mut holder = sink(&url, STREAM, GROUP).unwrap();
    holder.args(["--consumer-name", "holder", "--output", "/dev/full"]);
    assert_eq!(run(holder).status.code(), Some(1));
    let found = json(&lines(&url, &["pending", "--events", "--format", "json"]));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|event| event["consumer"] == "holder" && event["group"] == GROUP), "{found:?}");
    assert!(found.iter().all(|event| event["idle_seconds"].is_f64()), "{found:?}");
    let ids: Vec<&str> = found.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
}

#[test]
fn groups_are_watched_until_the_watcher_is_asked_to_end() {
    let (_directory, url) = sqlite();
    let mut watch = Running::start(verb(&url, &["groups", "--watch", "100ms", "--format", "json"])).unwrap();
    publish(&url, 0, 1);
    consume(&url, 1);
    publish(&url, 1, 1);
    loop {
        let line = watch.line().unwrap().expect("it goes on until it is asked to end");
        if json(&[line])[0]["lag"] == 1 {
            break;
        }
    }
    watch.signal(rustix::process::Signal::TERM).unwrap();
    assert_eq!(watch.finish().unwrap().status.code(), Some(0));
}

/// Moves what lies between two events from one backend to another, and reads it there as it was.
fn replay_moves_events(from: &str, to: &str) {
    publish(from, 0, 10);
    let mut keyed = events("publish", from, STREAM).unwrap();
    keyed.args([
        "--type",
        "a.b",
        "--source",
        "s",
        "--payload",
        "{\"n\": 10}",
        "--header",
        "k=v",
        "--id",
        "x",
    ]);
    run(keyed).success().unwrap();
    // Ids of the broker, of the third and of the last event.
    let ids: Vec<String> = lines(from, &["replay", "--format", "logfmt"])
        .iter()
        .filter_map(|line| Some(line.split(" message_id=").nth(1)?.split(' ').next()?.to_owned()))
        .collect();
    assert_eq!(ids.len(), 11);

    let said = lines(from, &["replay", "--from", &ids[2], "--to", &ids[6], "--to-url", to]);
    assert_eq!(said, ["published 4 events"]);
    let numbers = |lines: &[String]| tally(lines).into_keys().collect::<Vec<_>>();
    assert_eq!(numbers(&lines(to, &["replay", "--format", "json"])), [3, 4, 5, 6]);

    // The other half: into another stream of the same broker, from where the first ended.
    let mut rest = verb(from, &["replay", "--from", &ids[6], "--to-url", to, "--to-stream-key", "other"]);
    assert_eq!(run(rest).success().unwrap(), ["published 4 events"]);
    rest = events("replay", to, "other").unwrap();
    rest.args(["--format", "logfmt"]);
    let moved = run(rest).success().unwrap();
    assert!(moved[3].contains(" id=x ") && moved[3].contains(" header.k=v "), "{moved:?}");
    assert!(lines(from, &["replay", "--from", &ids[6], "--to", &ids[2]]).is_empty(), "the end lies before");
}

#[test]
fn replay_moves_events_from_redis_to_a_file() {
    replay_moves_events(redis().url(), &sqlite().1);
}

#[test]
fn replay_moves_events_from_a_file_to_redis() {
    replay_moves_events(&sqlite().1, redis().url());
}

#[test]
fn replay_takes_times_and_filters_and_ends_when_it_reads_what_it_writes() {
    let (_directory, url) = sqlite();
    publish(&url, 0, 3);
    assert_eq!(lines(&url, &["replay", "--to", "2020-01-01T00:00:00Z"]), [""; 0]);
    assert_eq!(lines(&url, &["replay", "--from", "2020-01-01T00:00:00Z", "--to", "2099-01-01"]).len(), 3);
    assert_eq!(lines(&url, &["replay", "--type", "no.*"]), [""; 0]);
    assert_eq!(lines(&url, &["replay", "--limit", "2"]).len(), 2);
    assert_eq!(lines(&url, &["replay", "--to-url", &url]), ["published 3 events"]);
    assert_eq!(lines(&url, &["replay"]).len(), 6);
}

#[test]
fn replay_says_which_events_it_could_not_move() {
    let redis = with_dead_letters();
    let (_directory, url) = sqlite();
    let finished = run(verb(redis.url(), &["replay", "--to-url", &url]));
    assert_eq!(finished.status.code(), Some(1), "{}", finished.errors);
    assert_eq!(finished.lines, ["published 1 event"]);
    assert!(finished.errors.contains("not published: 2"), "{}", finished.errors);
}

#[test]
fn dead_letters_are_listed_and_shown_by_filter() {
    let redis = with_dead_letters();
    let table = lines(redis.url(), &["dlq", "list"]);
    assert_eq!(table.len(), 3, "{table:?}");
    let found = json(&lines(redis.url(), &["dlq", "list", "--format", "json"]));
    assert!(found.iter().all(|letter| letter["reason"] == "undecodable" && letter["group"] == GROUP));
    assert_eq!(found[0]["fields"][0][1], "not json");
    let id = found[1]["id"].as_str().unwrap();
    let shown = lines(redis.url(), &["dlq", "show", id]).join("\n");
    assert!(shown.contains(id) && shown.contains(r#" {"event_type":1}"#), "{shown}");
    for (filter, count) in [
        (["--reason", "undecodable"], 2),
        (["--reason", "rejected"], 0),
        (["--group", GROUP], 2),
        (["--group", "other"], 0),
        (["--older-than", "1h"], 0),
        (["--newer-than", "1h"], 2),
        (["--type", "*"], 0),
        (["--limit", "1"], 1),
    ] {
        let words = [&["dlq", "list", "--format", "json"][..], &filter].concat();
        assert_eq!(lines(redis.url(), &words).len(), count, "{filter:?}");
    }
}

#[test]
fn nothing_is_purged_that_was_not_counted() {
    let redis = with_dead_letters();
    let left = || redis.command(&["XLEN", "{system:events}:dlq"]).unwrap().integer();
    for (words, code) in [
        (&["dlq", "purge"][..], 2),
        (&["dlq", "purge", "--all"], 2),
        (&["dlq", "purge", "--all", "--group", GROUP, "--yes"], 2),
        (&["dlq", "purge", "--all", "--confirm", "1"], 2),
        (&["dlq", "purge", "--all", "--confirm", "2", "--yes"], 2),
        (&["dlq", "purge", "--all", "--dry-run"], 0),
        (&["dlq", "purge", "--group", "other", "--yes"], 0),
    ] {
        let finished = run(verb(redis.url(), words));
        assert_eq!(finished.status.code(), Some(code), "{words:?}: {}", finished.errors);
        assert_eq!(left(), Some(2), "{words:?}");
    }
    let first = json(&lines(redis.url(), &["dlq", "list", "--format", "json"]))[0]["id"].clone();
    let said = lines(redis.url(), &["dlq", "purge", first.as_str().unwrap(), "--confirm", "1"]);
    assert_eq!(said, ["purged 1 dead letter"]);
    assert_eq!(left(), Some(1));
    assert_eq!(lines(redis.url(), &["dlq", "purge", "--all", "--yes"]), ["purged 1 dead letter"]);
    assert_eq!(left(), Some(0));
}

#[test]
fn what_is_redriven_comes_to_its_group_again() {
    let redis = with_dead_letters();
    // The bytes are still no event, so they come back to the dead letters, and only once each.
    assert_eq!(lines(redis.url(), &["dlq", "redrive", "--all", "--yes"]), ["redriven 2 dead letters"]);
    assert_eq!(redis.command(&["XLEN", "{system:events}:dlq"]).unwrap().integer(), Some(0));
    let mut command = sink(redis.url(), STREAM, GROUP).unwrap();
    command.arg("--drain");
    assert!(run(command).success().unwrap().is_empty());
    assert_eq!(json(&lines(redis.url(), &["dlq", "list", "--format", "json"])).len(), 2);
}

/// History goes that every group has finished; what one of them needs stays.
fn trim_takes_nothing_that_is_needed(url: &str) {
    publish(url, 0, 10);
    consume(url, 4);
    let finished = run(verb(url, &["trim", "--max-events", "2"]));
    assert_eq!(finished.lines, ["removed 4 events"], "{}", finished.errors);
    assert!(finished.errors.contains(&format!("group {GROUP} holds the rest")), "{}", finished.errors);
    assert_eq!(lines(url, &["replay"]).len(), 6);
    assert_eq!(run(verb(url, &["trim"])).status.code(), Some(2));
    assert_eq!(run(verb(url, &["trim", "--hard-max-events", "1"])).status.code(), Some(2));
    assert_eq!(lines(url, &["trim", "--hard-max-events", "1", "--yes"]), ["removed 5 events"]);
    assert_eq!(lines(url, &["replay"]).len(), 1);
}

#[test]
fn trim_takes_nothing_that_is_needed_on_redis() {
    trim_takes_nothing_that_is_needed(redis().url());
}

#[test]
fn trim_takes_nothing_that_is_needed_in_a_file() {
    trim_takes_nothing_that_is_needed(&sqlite().1);
}

#[test]
fn a_bench_measures_on_a_stream_of_its_own() {
    let (redis, (_directory, file)) = (redis(), sqlite());
    for url in [redis.url(), &file] {
        let measures = json(&lines(url, &["bench", "--count", "500", "--batch", "50", "--format", "json"]));
        let whats: Vec<&str> = measures.iter().filter_map(|measure| measure["what"].as_str()).collect();
        assert_eq!(whats, ["publish", "consume"]);
        assert!(measures.iter().all(|measure| measure["events"] == 500), "{measures:?}");
        assert!(lines(url, &["replay"]).is_empty(), "the stream it was given is as it was");
    }
    // Nothing is left of its own stream: no key of any name.
    let keys = redis.command(&["KEYS", "*"]).unwrap();
    assert!(keys.array().unwrap().is_empty(), "{keys:?}");
}

#[test]
fn a_backend_without_a_capability_says_so() {
    let queue = "sqs:http://127.0.0.1:9/000000000000/q";
    let verbs = [&["replay"][..], &["tail"], &["bench"], &["trim", "--max-events", "1"]];
    let mut dry = sink(queue, STREAM, GROUP).unwrap();
    dry.args(["--dry-run", "--drain"]);
    for mut command in verbs.map(|words| verb(queue, words)).into_iter().chain([dry]) {
        command.env("AWS_REGION", "us-east-1");
        let shown = format!("{command:?}");
        let finished = run(command);
        assert_eq!(finished.status.code(), Some(3), "{shown}: {}", finished.errors);
        assert!(finished.errors.contains("ERROR"), "{shown} says nothing");
    }
}

#[test]
fn every_verb_is_completed_and_has_its_page() {
    let completed = |shell: &str| {
        let mut program = command("events").unwrap();
        program.args(["completions", shell]);
        run(program).success().unwrap().join("\n")
    };
    for (shell, begins) in [
        ("zsh", "#compdef events"),
        ("fish", "complete -c events"),
        ("elvish", "set edit:completion:arg-completer[events]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = completed(shell);
        assert!(script.contains(begins) && script.contains("redrive"), "{shell}: {script}");
    }
    let script = completed("bash");
    let directory = tempfile::tempdir().unwrap();
    let mut program = command("events").unwrap();
    program.args(["man", "--dir"]).arg(directory.path());
    run(program).success().unwrap();
    let pages: BTreeSet<String> = (std::fs::read_dir(directory.path()).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for words in ["publish", "tail", "replay", "groups", "pending", "dlq", "dlq-purge", "trim", "bench"] {
        assert!(pages.contains(&format!("events-{words}.1")), "{pages:?}");
        assert!(script.contains(&format!("events__subcmd__{}", words.replace('-', "__subcmd__"))), "{words}");
    }
    let mut page = command("events").unwrap();
    page.arg("man");
    assert!(run(page).success().unwrap().join("\n").contains("Exit codes"));
}
