//! What the README shows works as it stands there.

use std::fs;
use std::path::Path;

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

/// What `--help` says of a program, or of a verb of it.
fn help(words: &[&str]) -> String {
    let (program, verb) = words.split_first().unwrap();
    let mut help = command(program).unwrap();
    help.args(verb).arg("--help");
    Running::start(help).unwrap().finish().unwrap().success().unwrap().join("\n")
}

#[test]
fn every_option_a_readme_names_exists() {
    let verbs =
        ["publish", "tail", "replay", "groups", "pending", "trim", "bench", "asyncapi", "man", "ensure"];
    let mut events: String = verbs.iter().map(|verb| help(&["events", verb])).collect();
    events.extend(["list", "show", "redrive", "purge"].map(|verb| help(&["events", "dlq", verb])));
    let sink = help(&["event-log-sink"]);
    for (readme, help) in [
        ("README.md", format!("{sink}{}", help(&["events", "publish"]))),
        ("crates/event-log-sink/README.md", sink),
        ("crates/events-cli/README.md", events),
    ] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(readme)).unwrap();
        let is_name = |name: &str| name.starts_with(|c: char| c.is_ascii_lowercase());
        let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '-'));
        let options: Vec<&str> = words.filter(|word| word.strip_prefix("--").is_some_and(is_name)).collect();
        assert!(options.len() > 15, "{readme}");
        // Cargo's own.
        for option in options.iter().filter(|option| !["--release", "--bin", "--path"].contains(option)) {
            let is_whole = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '-');
            let named = help.split(option).skip(1).any(is_whole);
            assert!(named, "{option} is in {readme} and not in --help");
        }
    }
}
