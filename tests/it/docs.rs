//! Every command of the pages in `docs/` works as it stands there.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use events_system_tests::{Running, command, sink};
use tempfile::TempDir;

use crate::broker::{publish, redis, sqlite};

/// The key the pages' readers have in their environment.
const STREAM: &str = "system:events";

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)).unwrap()
}

/// A page's blocks of commands.
fn commands(page: &str) -> Vec<&str> {
    page.split("```sh\n").skip(1).filter_map(|part| part.split("```").next()).collect()
}

/// Runs a page's commands from top to bottom; the first that fails ends it.
fn run(name: &str, url: &str, home: &TempDir) -> Vec<String> {
    let page = page(name);
    let script = commands(&page).concat();
    assert!(script.lines().count() > 1, "{name} has commands");
    let programs = command("events").unwrap();
    let folder = Path::new(programs.get_program()).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.env_clear().args(["-euxc", &script]).current_dir(home.path());
    shell.env("PATH", path).env("HOME", home.path()).env("EVENTS_URL", url).env("EVENTS_STREAM_KEY", STREAM);
    let finished = Running::start(shell).unwrap().finish().unwrap();
    assert!(finished.status.success(), "{name}: {}\n{}", finished.lines.join("\n"), finished.errors);
    finished.lines
}

fn drain(url: &str, group: &str, limit: &str) {
    let mut command = sink(url, STREAM, group).unwrap();
    command.args(["--drain", "--lease", "500ms", "--limit", limit]);
    Running::start(command).unwrap().finish().unwrap().success().unwrap();
}

#[test]
fn the_runbook_mends_a_stream_with_a_lag_and_dead_letters() {
    let redis = redis();
    publish(redis.url(), 0, 10);
    drain(redis.url(), "event-log-sink", "4");
    drain(redis.url(), "other", "1");
    // A consumer that was given two events five times, and died each time.
    let stream = ["STREAMS", STREAM, ">"];
    let read = ["XREADGROUP", "GROUP", "event-log-sink", "ghost", "COUNT", "2"];
    redis.command(&[&read[..], &stream].concat()).unwrap();
    let pending = redis.command(&["XPENDING", STREAM, "event-log-sink", "-", "+", "2"]).unwrap();
    for entry in pending.array().unwrap() {
        let id = entry.array().unwrap()[0].text().unwrap();
        let claim =
            ["XCLAIM", STREAM, "event-log-sink", "ghost", "0", id, "IDLE", "1000000", "RETRYCOUNT", "5"];
        redis.command(&claim).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while redis.command(&["XLEN", "{system:events}:dlq"]).unwrap().integer() != Some(2) {
        assert!(Instant::now() < deadline, "they are no dead letters");
        drain(redis.url(), "event-log-sink", "100");
    }
    publish(redis.url(), 10, 5);
    let lines = run("runbook.md", redis.url(), &tempfile::tempdir().unwrap());
    for said in ["redriven 2 dead letters", "published 15 events", "published 2 events"] {
        assert!(lines.iter().any(|line| line == said), "{said} in\n{}", lines.join("\n"));
    }
    let let_go = |line: &String| line.split_whitespace().eq(["other", "0", "0", "-"]);
    assert!(lines.iter().any(let_go), "{}", lines.join("\n"));
}

#[test]
fn a_choice_can_be_measured() {
    run("choosing-a-backend.md", redis().url(), &tempfile::tempdir().unwrap());
}

#[test]
fn a_new_backend_is_tried_by_hand_as_the_others_are() {
    let (redis, (_directory, file)) = (redis(), sqlite());
    for url in [redis.url(), &file] {
        let lines = run("adding-a-backend.md", url, &tempfile::tempdir().unwrap());
        let printed = lines.iter().filter(|line| line.contains("test.hello")).count();
        assert_eq!(printed, 3, "once by each group, and once by replay\n{}", lines.join("\n"));
    }
}

#[test]
fn a_stream_of_the_python_services_is_tried_without_disturbing_them() {
    let redis = redis();
    publish(redis.url(), 0, 3);
    run("migrating-from-python.md", redis.url(), &tempfile::tempdir().unwrap());
}

#[test]
fn every_configuration_of_the_pages_loads() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.yaml");
    let page = page("migrating-from-python.md");
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|part| part.split("```").next()).collect();
    assert_eq!(blocks.len(), 1);
    fs::write(&file, blocks[0]).unwrap();
    let mut check = command("event-log-sink").unwrap();
    check.arg("--config").arg(&file).arg("--check-config");
    Running::start(check).unwrap().finish().unwrap().success().unwrap();
}

#[test]
fn every_file_the_pages_point_to_exists() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for entry in fs::read_dir(&docs).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            assert!(docs.join(file).exists(), "{link}");
        }
    }
}
