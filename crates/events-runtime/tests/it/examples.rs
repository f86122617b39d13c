//! The example services, built and run as they stand: what the producer tells, the consumer handles.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// The example's program, which cargo builds together with the tests, beside their directory.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

fn run(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(example(name)).args(arguments).output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_the_producer_tells_the_consumer_handles() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("events.db");
    let path = path.to_str().unwrap();
    assert_eq!(run("producer", &[path, "3"]), "published 3 spooled 0 dropped 0\n");
    let lines = (0..3).map(|n| format!("team-a request {n} ({n})\n")).collect::<String>();
    assert_eq!(run("consumer", &[path]), format!("{lines}acked 3 failed 0 dead-lettered 0\n"));
    assert_eq!(run("consumer", &[path]), "acked 0 failed 0 dead-lettered 0\n");
}
