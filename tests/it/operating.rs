//! The sink as its operator meets it: health, metrics, files, logs.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use events_system_tests::{Running, sink};
use rustix::process::Signal;
use serde_json::Value;

use crate::broker::{GROUP, STREAM, pending, publish, redis, sqlite, tally};

/// A port that nobody listens on.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Asks until the answer is as it should be.
fn wait_for(port: u16, path: &str, is_meant: impl Fn(u16, &str) -> bool) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut last = None;
    while Instant::now() < deadline {
        last = get(port, path);
        match &last {
            Some((status, body)) if is_meant(*status, body) => return body.clone(),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    panic!("{path}: {last:?}")
}

#[test]
fn a_sink_is_ready_while_its_broker_answers_and_says_why_when_it_does_not() {
    let mut redis = redis();
    publish(redis.url(), 0, 3);
    let port = port();
    let mut command = sink(redis.url(), STREAM, GROUP).unwrap();
    command.args(["--listen", &port.to_string()]);
    let mut running = Running::start(command).unwrap();
    running.take_lines(3).unwrap();
    wait_for(port, "/readyz", |status, body| status == 200 && body.contains("\"ready\":true"));
    assert_eq!(get(port, "/livez").unwrap().0, 200);
    let labels = format!("stream=\"{STREAM}\",group=\"{GROUP}\"");
    // What is printed is acknowledged a moment later.
    let acked = format!("events_acked_total{{{labels}}} 3");
    let metrics = wait_for(port, "/metrics", |_, body| body.contains("events_lag{") && body.contains(&acked));
    assert!(metrics.contains(&format!("events_received_total{{{labels}}} 3")), "{metrics}");

    redis.stop().unwrap();
    let body = wait_for(port, "/readyz", |status, _| status == 503);
    let readiness: Value = serde_json::from_str(&body).unwrap();
    assert!(readiness["reasons"][0].as_str().unwrap().contains("the broker cannot be asked"), "{body}");
    assert_eq!(get(port, "/livez").unwrap().0, 200, "it lives on");
    redis.restart().unwrap();
    wait_for(port, "/readyz", |status, _| status == 200);
    let metrics = wait_for(port, "/metrics", |_, body| body.contains("events_broker_up{"));
    assert!(metrics.contains(&format!("events_outages_total{{stream=\"{STREAM}\"}} 1\n")), "{metrics}");
    running.signal(Signal::TERM).unwrap();
    assert_eq!(running.finish().unwrap().status.code(), Some(0));
}

/// A sink whose output nobody takes asks for nothing more, and so takes over from nobody.
#[test]
fn a_sink_is_not_ready_while_what_its_group_was_given_lies() {
    let redis = redis();
    publish(redis.url(), 0, 1);
    redis.command(&["XGROUP", "CREATE", STREAM, GROUP, "0"]).unwrap();
    let read = ["XREADGROUP", "GROUP", GROUP, "ghost", "COUNT", "1", "STREAMS", STREAM, ">"];
    redis.command(&read).unwrap();
    let large = "x".repeat(200_000);
    let body = format!("{{\"event_type\":\"a.b\",\"source\":\"s\",\"payload\":{{\"x\":\"{large}\"}}}}");
    for _ in 0..10 {
        redis.command(&["XADD", STREAM, "*", "event", &body]).unwrap();
    }
    let port = port();
    let mut command = sink(redis.url(), STREAM, GROUP).unwrap();
    command.args(["--batch", "1", "--listen", &port.to_string()]);
    let mut running = Running::start(command).unwrap();
    running.wait_until_stuck().unwrap();
    wait_for(port, "/readyz", |status, _| status == 200);
    let oldest = redis.command(&["XPENDING", STREAM, GROUP, "-", "+", "1", "ghost"]).unwrap();
    let id = oldest.array().unwrap()[0].array().unwrap()[0].text().unwrap().to_owned();
    redis.command(&["XCLAIM", STREAM, GROUP, "ghost", "0", &id, "IDLE", "400000", "JUSTID"]).unwrap();
    let body = wait_for(port, "/readyz", |status, _| status == 503);
    let readiness: Value = serde_json::from_str(&body).unwrap();
    let reason = readiness["reasons"][0].as_str().unwrap();
    assert!(reason.starts_with(&format!("consumer group {GROUP} stalls: ")), "{body}");
    assert_eq!(get(port, "/livez").unwrap().0, 200, "it lives on");
}

#[test]
fn what_goes_to_a_file_is_rotated_by_time() {
    let (_kept, url) = sqlite();
    publish(&url, 0, 10);
    let directory = tempfile::tempdir().unwrap();
    let mut command = sink(&url, STREAM, GROUP).unwrap();
    command
        .args(["--drain", "--batch", "1", "--rotate-every", "1us", "--output"])
        .arg(directory.path().join("out"));
    Running::start(command).unwrap().finish().unwrap().success().unwrap();
    let files = fs::read_dir(directory.path()).unwrap();
    let texts = files.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let lines: Vec<String> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert_eq!(tally(&lines).len(), 10);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 10, "one a file");
}

#[test]
fn what_goes_to_a_file_is_rotated_by_size_and_none_of_it_lost() {
    let redis = redis();
    let directory = tempfile::tempdir().unwrap();
    publish(redis.url(), 0, 300);
    let mut command = sink(redis.url(), STREAM, GROUP).unwrap();
    command
        .args(["--drain", "--batch", "20", "--rotate-size", "10KB", "--output"])
        .arg(directory.path().join("out"));
    let printed = Running::start(command).unwrap().finish().unwrap().success().unwrap();
    assert!(printed.is_empty(), "{printed:?}");
    let mut lines = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(directory.path()).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(text.len() <= 10_000, "{}", text.len());
        lines.extend(text.lines().map(str::to_owned));
        files += 1;
    }
    assert!(files > 3, "{files}");
    assert_eq!(tally(&lines).len(), 300);
    assert_eq!(pending(&redis), 0);
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew_on_a_hangup() {
    let (_kept, url) = sqlite();
    let directory = tempfile::tempdir().unwrap();
    let (path, moved) = (directory.path().join("out"), directory.path().join("moved"));
    let mut command = sink(&url, STREAM, GROUP).unwrap();
    command.arg("--output").arg(&path);
    let mut running = Running::start(command).unwrap();
    let holds = |file: &std::path::Path, count: usize| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while fs::read_to_string(file).map_or(0, |text| text.lines().count()) < count {
            assert!(Instant::now() < deadline, "{}", file.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    publish(&url, 0, 1);
    holds(&path, 1);
    fs::rename(&path, &moved).unwrap();
    running.signal(Signal::HUP).unwrap();
    // The signal is noticed some time, and the file opened when there is something to write.
    let mut count = 1;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !path.exists() {
        publish(&url, count, 1);
        count += 1;
        let both = || {
            fs::read_to_string(&moved).unwrap().lines().count()
                + fs::read_to_string(&path).map_or(0, |text| text.lines().count())
        };
        while both() < count {
            assert!(Instant::now() < deadline, "an event is in neither file");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(Instant::now() < deadline, "the file is not opened anew");
    }
    running.signal(Signal::TERM).unwrap();
    assert_eq!(running.finish().unwrap().status.code(), Some(0));
}

#[test]
fn what_cannot_be_written_to_a_file_is_not_acknowledged() {
    let redis = redis();
    publish(redis.url(), 0, 5);
    let mut command = sink(redis.url(), STREAM, GROUP).unwrap();
    command.args(["--drain", "--output", "/dev/full"]);
    let finished = Running::start(command).unwrap().finish().unwrap();
    assert_eq!(finished.status.code(), Some(1), "{}", finished.errors);
    assert!(finished.errors.contains("cannot write to /dev/full: "), "{}", finished.errors);
    let mut command = sink(redis.url(), STREAM, GROUP).unwrap();
    command.arg("--drain");
    assert_eq!(Running::start(command).unwrap().finish().unwrap().success().unwrap().len(), 5);
}

#[test]
fn what_was_written_in_part_does_not_stay() {
    let redis = redis();
    publish(redis.url(), 0, 100);
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let mut sink = sink(redis.url(), STREAM, GROUP).unwrap();
    sink.args(["--drain", "--output"]).arg(&out);
    // A file may have some blocks and no more: what is written then goes in part.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$@\"", "sh"]);
    limited.arg(sink.get_program()).args(sink.get_args());
    let finished = Running::start(limited).unwrap().finish().unwrap();
    assert_eq!(finished.status.code(), Some(1), "{}", finished.errors);
    assert!(finished.errors.contains(&format!("cannot write to {}: ", out.display())), "{}", finished.errors);
    assert_eq!(fs::read_to_string(&out).unwrap(), "", "half a batch would be printed twice");
    Running::start(sink).unwrap().finish().unwrap().success().unwrap();
    let lines: Vec<String> = fs::read_to_string(&out).unwrap().lines().map(str::to_owned).collect();
    assert!(lines.len() == 100 && tally(&lines).len() == 100, "{lines:?}");
}

#[test]
fn colours_are_for_those_who_want_them() {
    let redis = redis();
    publish(redis.url(), 0, 1);
    for (group, variables, is_coloured) in [
        ("a", &[][..], false),
        ("b", &[("CLICOLOR_FORCE", "1")], true),
        ("c", &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
    ] {
        let mut command = sink(redis.url(), STREAM, group).unwrap();
        command.args(["--drain", "--format", "text"]).envs(variables.iter().copied());
        let lines = Running::start(command).unwrap().finish().unwrap().success().unwrap();
        assert_eq!(lines[0].contains("\u{1b}["), is_coloured, "{lines:?}");
    }
}

#[test]
fn the_log_is_json_where_it_is_asked_for() {
    let (_directory, url) = sqlite();
    let mut command = sink(&url, STREAM, GROUP).unwrap();
    command.args(["--drain", "--log-format", "json"]);
    let finished = Running::start(command).unwrap().finish().unwrap();
    let lines: Vec<Value> = finished.errors.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["level"] == "INFO" && line["stream_key"] == STREAM), "{lines:?}");
}
