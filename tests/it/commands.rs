//! Every command of every README is run as it stands there, or it is said here who runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use events_system_tests::{Running, command};
use test_servers::{AwsEmulator, AwsEmulatorKind};

/// Blocks of commands that are not run here, by how they begin, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("cargo xtask demo", "CI is made of these"),
    ("cargo run --release --bin event-log-sink", "run below, as the programs of this build"),
    ("$ export EVENTS__AWS__QUEUE_URL=", "run below, on an emulator of AWS"),
    ("$ events bench", "a measurement: no two print the same; the runbook has one that is run"),
    ("EVENTS_SOAK_SECONDS=1800", "takes half an hour; CI runs a minute of it"),
    ("ACL SETUSER", "commands of Redis; the tests of events-redis read them from there and live by them"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every README of the workspace, and what it says.
fn readmes() -> Vec<(PathBuf, String)> {
    let folders = |path: PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut files = vec![root()];
    files.extend(folders(root()));
    files.extend(folders(root().join("crates")));
    let readmes = files.into_iter().map(|folder| folder.join("README.md")).filter(|file| file.is_file());
    readmes.map(|file| (file.clone(), fs::read_to_string(file).unwrap())).collect()
}

/// The blocks that hold commands: those of a shell, and those that show what a shell answers.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let inside = text.split("```").skip(1).step_by(2);
    inside.filter_map(|block| {
        let (language, block) = block.split_once('\n')?;
        let begins = |word: &str| block.starts_with(word);
        let is_typed = begins("$ ") || begins("ACL ") || begins("EVENTS_") || begins("event");
        (language == "sh" || language == "text" && is_typed).then_some(block)
    })
}

/// Runs commands in a home of their own, with the files that the examples name.
fn run(script: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("events.yaml"), "events:\n  consumer_group: \"mirror\"\n").unwrap();
    for catalog in ["qontract-api.events.json", "mirror.events.json"] {
        fs::write(home.path().join(catalog), "[]").unwrap();
    }
    let programs = command("events").unwrap();
    let folder = Path::new(programs.get_program()).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.env_clear().args(["-euc", script]).current_dir(home.path());
    shell.env("PATH", path).env("HOME", home.path()).envs(variables.iter().copied());
    let finished = Running::start(shell).unwrap().finish().unwrap();
    assert!(finished.status.success(), "{script}\n{}\n{}", finished.lines.join("\n"), finished.errors);
    finished.lines
}

/// The block of a README that begins so.
fn block(readme: &str, beginning: &str) -> String {
    let text = fs::read_to_string(root().join(readme)).unwrap();
    let found = blocks(&text).find(|block| block.starts_with(beginning));
    found.unwrap_or_else(|| panic!("{beginning} is not in {readme}")).to_owned()
}

#[test]
fn every_command_of_a_readme_is_run_or_said_to_be_run_elsewhere() {
    let mut ran = 0;
    let mut left: Vec<&str> = ELSEWHERE.iter().map(|(beginning, _)| *beginning).collect();
    for (file, text) in readmes() {
        for block in blocks(&text) {
            match ELSEWHERE.iter().find(|(beginning, _)| block.starts_with(beginning)) {
                Some((beginning, _)) => left.retain(|other| other != beginning),
                None => {
                    assert!(!block.starts_with("$ "), "what {} shows is to be compared", file.display());
                    run(block, &[]);
                    ran += 1;
                }
            }
        }
    }
    assert_eq!(left, [""; 0], "these are in no README");
    assert!(ran >= 2, "{ran}");
}

#[test]
fn what_two_terminals_show_is_what_the_readme_says() {
    let typed = block("README.md", "cargo run --release --bin event-log-sink");
    let (print, publish) = typed.split_once("\n\n").unwrap();
    let (print, publish) = (print.replace("cargo run --release --bin ", ""), publish.replace(" -- ", " "));
    let publish = publish.replace("cargo run --release --bin ", "");
    let lines = run(&format!("{publish}{print} --drain --format text"), &[]);
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let shown = readme.split("```text\n").nth(1).unwrap().lines().next().unwrap();
    let without_time = |line: &str| line.split_once("Z ").map(|(_, rest)| rest.to_owned()).unwrap();
    assert_eq!(lines[0], "published 1 event");
    assert_eq!(without_time(&lines[1]), without_time(shown));
}

#[test]
fn what_would_be_made_on_aws_is_what_the_readme_says() {
    let block = block("crates/events-aws/README.md", "$ export EVENTS__AWS__QUEUE_URL=");
    let (typed, shown): (Vec<&str>, Vec<&str>) = block.lines().partition(|line| line.starts_with("$ "));
    let script: Vec<&str> = typed.iter().filter_map(|line| line.strip_prefix("$ ")).collect();
    let emulator = AwsEmulator::start(AwsEmulatorKind::Ministack).unwrap();
    let access =
        [("AWS_ENDPOINT_URL", &*emulator.url()), ("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];
    assert_eq!(run(&script.join("\n"), &access), shown);
}

#[test]
fn every_file_a_readme_points_to_exists() {
    let mut pointed = 0;
    for (file, text) in readmes() {
        let folder = file.parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            // Names of the code are looked up by rustdoc.
            if !link.starts_with("https://") && path.contains(['.', '/']) {
                assert!(folder.join(path).exists(), "{link} of {}", file.display());
                pointed += 1;
            }
        }
    }
    assert!(pointed > 20, "{pointed}");
}
