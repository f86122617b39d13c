//! The platform's Python services on the other side of the same stream.

use std::path::Path;
use std::process::Command;

use events_system_tests::{Running, events, sink};
use serde_json::{Value, json};
use test_servers::PythonEnv;

use crate::broker::{GROUP, STREAM, pending, redis};

fn python(verb: &str, url: &str) -> Command {
    let environment = PythonEnv::with_modules(&["redis", "pydantic"]).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/adr018.py");
    let mut command = environment.script(&script);
    command.args([verb, url, STREAM]);
    command
}

#[test]
fn what_python_publishes_is_printed_to_the_letter() {
    let redis = redis();
    let wanted = [
        json!({"event_type": "slack-usergroups.update_users", "source": "qontract-api",
               "timestamp": "2026-02-10T12:00:00.123456Z", "payload": {"users": ["alice", "Zoë 🦀"]}}),
        json!({"event_type": "a.b", "source": "s", "timestamp": "2026-02-10T17:30:00+05:30", "version": 2,
               "payload": {"huge": 9_007_199_254_740_993_u64, "f": 1.5e300, "nested": {"a": [null, true]}}}),
        json!({"event_type": "ping", "source": "s", "timestamp": "1970-01-01T00:00:00Z"}),
    ];
    let input: String = wanted.iter().map(|event| format!("{event}\n")).collect();
    let publish = Running::start_with_input(python("publish", redis.url()), input).unwrap();
    publish.finish().unwrap().success().unwrap();

    let mut command = sink(redis.url(), STREAM, GROUP).unwrap();
    command.arg("--drain");
    let lines = Running::start(command).unwrap().finish().unwrap().success().unwrap();
    let printed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(printed.len(), wanted.len());
    for (printed, wanted) in printed.iter().zip(&wanted) {
        assert_eq!(printed["event_type"], wanted["event_type"]);
        assert_eq!(printed["source"], wanted["source"]);
        assert_eq!(printed["version"], wanted.get("version").cloned().unwrap_or(json!(1)));
        assert_eq!(printed["payload"], wanted.get("payload").cloned().unwrap_or(json!({})));
    }
    assert_eq!(printed[0]["timestamp"], "2026-02-10T12:00:00.123456Z");
    assert_eq!(printed[1]["timestamp"], "2026-02-10T12:00:00Z");
    assert!(lines[1].contains("9007199254740993"), "{}", lines[1]);
    assert_eq!(pending(&redis), 0);
}

#[test]
fn what_is_published_here_python_reads() {
    let redis = redis();
    let mut publish = events("publish", redis.url(), STREAM).unwrap();
    publish.args(["--type", "slack-usergroups.update_users", "--source", "qontract-api"]);
    publish.args(["--payload", "{\"users\":[\"Zoë\"],\"huge\":123456789012345678901234567890}"]);
    publish.args(["--timestamp", "2026-02-10T12:00:00.123456Z", "--header", "request_id=abc"]);
    Running::start(publish).unwrap().finish().unwrap().success().unwrap();

    let mut consume = python("consume", redis.url());
    consume.arg(GROUP);
    let lines = Running::start(consume).unwrap().finish().unwrap().success().unwrap();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("123456789012345678901234567890"), "{}", lines[0]);
    let read: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(read["event"]["event_type"], "slack-usergroups.update_users");
    assert_eq!(read["event"]["source"], "qontract-api");
    assert_eq!(read["event"]["version"], 1);
    assert_eq!(read["event"]["timestamp"], "2026-02-10T12:00:00.123456Z");
    assert_eq!(read["event"]["payload"]["users"], json!(["Zoë"]));
    assert_eq!(read["headers"], json!({"request_id": "abc"}));
    assert_eq!(pending(&redis), 0);
}
