//! What the README shows works as it stands there.

use std::fs;

use events_system_tests::{Running, command};

const README: &str = include_str!("../../README.md");

/// The README's blocks of one language.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let fence = format!("```{language}\n");
    let parts: Vec<&str> = README.split(&fence).skip(1).collect();
    parts.into_iter().filter_map(|part| part.split("```").next())
}

#[test]
fn the_configuration_of_the_readme_loads() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.yaml");
    let mut loaded = 0;
    for block in blocks("yaml") {
        fs::write(&file, block).unwrap();
        let mut check = command("event-log-sink").unwrap();
        check.arg("--config").arg(&file).arg("--check-config");
        Running::start(check).unwrap().finish().unwrap().success().unwrap();
        loaded += 1;
    }
    assert_eq!(loaded, 1);
}

#[test]
fn every_option_the_readme_names_exists() {
    let mut help = command("event-log-sink").unwrap();
    help.arg("--help");
    let help = Running::start(help).unwrap().finish().unwrap().success().unwrap().join("\n");
    let options: Vec<&str> = README
        .split(|c: char| !(c.is_ascii_lowercase() || c == '-'))
        .filter(|word| {
            word.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
        })
        .collect();
    assert!(options.len() > 15);
    let elsewhere = ["--release", "--bin", "--payload"];
    for option in options.iter().filter(|option| !elsewhere.contains(option)) {
        assert!(help.contains(option), "{option} is in the README and not in --help");
    }
}
