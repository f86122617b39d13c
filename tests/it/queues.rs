//! The verbs of `events` on a queue: what the service can do they do, and what it cannot they say.

use std::io::{Read, Write};
use std::net::TcpStream;

use events_system_tests::sink;
use serde_json::Value;

use crate::broker::{GROUP, STREAM, publish, sqs};
use crate::verbs::{json, lines, run, verb};

/// Sends a message that is no event, as a stranger would.
fn send(queue: &str, body: &str) {
    ask(queue, &format!("SendMessage&QueueUrl={queue}&MessageBody={}", body.replace(' ', "%20")));
}

/// Asks the service behind a queue's URL for something.
fn ask(queue: &str, action: &str) {
    let host = queue.split('/').nth(2).unwrap();
    let form = format!("Version=2012-11-05&Action={action}");
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/sqs/aws4_request\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// What a sink prints of what is there.
fn drain(url: &str) -> usize {
    let mut command = sink(url, STREAM, GROUP).unwrap();
    command.arg("--drain");
    run(command).success().unwrap().len()
}

#[test]
fn a_queue_without_dead_letters_says_so() {
    let (_emulator, url) = sqs("verbs");
    let plain = url.replace("/verbs", "/plain");
    ask(plain.strip_prefix("sqs:").unwrap(), "CreateQueue&QueueName=plain");
    for words in [
        &["list"][..],
        &["show", "--limit", "1"],
        &["redrive", "--all", "--yes"],
        &["purge", "--all", "--dry-run"],
    ] {
        let finished = run(verb(&plain, &[&["dlq"], words].concat()));
        assert_eq!(finished.status.code(), Some(3), "{words:?}: {}", finished.errors);
        assert!(finished.errors.contains("no dead-letter queue"), "{words:?}: {}", finished.errors);
    }
}

/// On a queue every verb does what the service can, and says plainly what it cannot.
#[test]
fn a_queue_is_looked_at_and_its_dead_letters_mended() {
    let (_emulator, url) = sqs("verbs");
    publish(&url, 0, 3);
    let found = json(&lines(&url, &["groups", "--format", "json"]));
    assert_eq!(
        (found.len(), &found[0]["group"]),
        (1, &Value::from("verbs")),
        "a queue is its own group: {found:?}"
    );
    assert_eq!((&found[0]["lag"], &found[0]["pending"]), (&Value::from(3), &Value::from(0)));
    assert_eq!(found[0]["oldest_pending_seconds"], Value::Null, "the service does not tell");
    let said = lines(&url, &["pending"]);
    assert!(said[0].contains("no consumer"), "{said:?}");
    assert_eq!(drain(&url), 3);

    let no_letters = format!("no dead letters in {STREAM}");
    assert_eq!(lines(&url, &["dlq", "list"]), [no_letters.as_str()]);
    // Two messages that are no events, as a stranger sends them.
    let queue = url.strip_prefix("sqs:").unwrap();
    send(queue, "not json");
    send(queue, "neither is this");
    assert_eq!(drain(&url), 0);
    let found = json(&lines(&url, &["dlq", "list", "--format", "json"]));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|letter| letter["reason"] == "undecodable"), "{found:?}");
    let said = lines(&url, &["dlq", "purge", "--all", "--dry-run"]);
    assert_eq!(said.last().unwrap(), "would purge 2 dead letters");
    assert_eq!(lines(&url, &["dlq", "redrive", "--all", "--confirm", "2"]), ["redriven 2 dead letters"]);
    assert_eq!(lines(&url, &["dlq", "list"]), [no_letters.as_str()]);
    assert_eq!(drain(&url), 0, "they are still no events");
    assert_eq!(lines(&url, &["dlq", "purge", "--all", "--yes"]), ["purged 2 dead letters"]);

    for words in [
        &["replay"][..],
        &["tail", "--no-follow", "--from", "earliest"],
        &["trim", "--max-events", "1"],
        &["pending", "--events"],
        &["bench", "--count", "1"],
    ] {
        let finished = run(verb(&url, words));
        assert_eq!(finished.status.code(), Some(3), "{words:?}: {}", finished.errors);
        assert!(
            finished.lines.is_empty() && finished.errors.lines().count() == 1,
            "{words:?}: {}",
            finished.errors
        );
    }
}
