//! Configuration files, environment and flags: what wins, and what is said when something is wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use events_core::{Error, ErrorKind, MessageId, StartFrom};
use events_factory::{ConfigLoader, EventsConfig, Place};

fn file(directory: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn loaded(loader: ConfigLoader) -> EventsConfig {
    loader.load().unwrap().into_config()
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Loads a file that must be refused; gives the message without the directory.
fn refused(name: &str, text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let error = ConfigLoader::new().with_file(file(&directory, name, text)).load().expect_err(text);
    without_directory(&error, directory.path())
}

fn refused_variable(name: &str, value: &str) -> String {
    let error = ConfigLoader::new().with_environment(variables(&[(name, value)])).load().expect_err(name);
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    error.message().to_owned()
}

fn without_directory(error: &Error, directory: &Path) -> String {
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(!error.is_transient());
    error.message().replace(&format!("{}/", directory.display()), "")
}

/// Says whether a message names everything a user needs to find the mistake.
fn names(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn every_example_file_loads() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        // A section of a backend that is not compiled in is refused, which `choice.rs` tests.
        let compiled = match name {
            "redis" => cfg!(feature = "redis"),
            "service" => cfg!(feature = "runtime"),
            "embedded" => cfg!(feature = "sqlite"),
            _ => true,
        };
        if compiled && path.extension().is_some_and(|extension| extension != "rs") {
            let settings = ConfigLoader::new().with_file(&path).load();
            assert!(!settings.unwrap_or_else(|error| panic!("{error}")).given().is_empty(), "{path:?}");
            count += 1;
        }
    }
    assert!(count >= 3, "only {count} example files were found");
}

#[test]
fn the_file_of_the_decision_record_loads_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/adr018.yaml");
    let config = loaded(ConfigLoader::new().with_file(path));
    assert!(config.enabled);
    assert_eq!(config.stream_key, "qontract:events");
    assert_eq!(config.broker_url().unwrap(), None);
}

#[test]
fn both_syntaxes_say_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let yaml =
        "events:\n  enabled: false\n  stream_key: s\n  lease: 90s\n  max_deliveries: 7\n  start_from: 42-0\n";
    let toml = "[events]\nenabled = false\nstream_key = 's'\nlease = '90s'\nmax_deliveries = 7\nstart_from = '42-0'\n";
    for (name, text) in [("e.yaml", yaml), ("e.yml", yaml), ("e.toml", toml)] {
        let config = loaded(ConfigLoader::new().with_file(file(&directory, name, text)));
        assert!(!config.enabled);
        assert_eq!(config.stream_key, "s");
        assert_eq!(config.lease, Some(Duration::from_secs(90)));
        assert_eq!(config.max_deliveries.get(), 7);
        assert_eq!(config.start_from, StartFrom::After(MessageId::from("42-0")));
    }
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let text = "events:\n  stream_key: file\n  consumer_group: file\n  consumer_name: file\n";
    let settings = ConfigLoader::new()
        .with_file(file(&directory, "e.yaml", text))
        .with_environment(variables(&[("EVENTS_CONSUMER_GROUP", "env"), ("EVENTS_CONSUMER_NAME", "env")]))
        .with_override("consumer_name", "flag", "--consumer-name")
        .load()
        .unwrap();
    let config = settings.config();
    assert_eq!(config.stream_key, "file");
    assert_eq!(config.consumer_group.as_deref(), Some("env"));
    assert_eq!(config.consumer_name.as_deref(), Some("flag"));
    let places: Vec<_> = settings.given().iter().map(|setting| &setting.place).collect();
    assert!(matches!(places[0], Place::File { line: 2, .. }), "{places:?}");
    assert_eq!(places[1], &Place::Environment("EVENTS_CONSUMER_GROUP".into()));
    assert_eq!(places[2], &Place::Flag("--consumer-name".into()));
}

#[test]
fn every_setting_has_a_variable() {
    let config = loaded(ConfigLoader::new().with_environment(variables(&[
        ("EVENTS_URL", "memory:x"),
        ("EVENTS_ENABLED", "False"),
        ("EVENTS_STREAM_KEY", "123"),
        ("EVENTS__LEASE", "500ms"),
        ("EVENTS__MAX_DELIVERIES", "3"),
        ("EVENTS__START_FROM", "latest"),
        ("EVENTS_CONSUMER_NAME", ""),
        ("EVENTS_PORT", "tcp://10.0.0.1:80"),
        ("UNRELATED", "x"),
    ])));
    assert_eq!(config.url.unwrap().expose(), "memory:x");
    assert!(!config.enabled);
    assert_eq!(config.stream_key, "123");
    assert_eq!(config.lease, Some(Duration::from_millis(500)));
    assert_eq!(config.max_deliveries.get(), 3);
    assert_eq!(config.start_from, StartFrom::Latest);
    assert_eq!(config.consumer_name, None);
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    names(
        &refused("e.yaml", "events:\n  enabled: true\n  stream_kee: x\n"),
        &["e.yaml:3", "stream_kee", "`stream_key`"],
    );
    names(&refused("e.toml", "[events]\nurl = 'memory:'\nlaese = '1s'\n"), &["e.toml:3", "laese", "`lease`"]);
    names(&refused("e.yaml", "stream_key: x\n"), &["e.yaml:1", "stream_key", "`events`"]);
    names(&refused("e.yaml", "event:\n  url: x\n"), &["e.yaml:1", "`event`", "mean `events`"]);
    names(&refused_variable("EVENTS__STREAM_KEE", "x"), &["EVENTS__STREAM_KEE", "stream_kee"]);
    names(&refused_variable("EVENTS__NONSENSE__KEY", "x"), &["EVENTS__NONSENSE__KEY", "nonsense"]);
    names(&refused_variable("EVENTS____A", "x"), &["EVENTS____A"]);
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_line() {
    names(&refused("e.yaml", "events:\n  enabled: maybe\n"), &["e.yaml:2", "`enabled`", "true"]);
    names(&refused("e.yaml", "events:\n  enabled: \"true\"\n"), &["e.yaml:2", "`enabled`"]);
    names(&refused("e.toml", "[events]\nstream_key = 5\n"), &["e.toml:2", "`stream_key`"]);
    names(&refused("e.yaml", "events:\n  lease: 5 minuets\n"), &["e.yaml:2", "`lease`", "500ms"]);
    names(&refused("e.yaml", "events:\n  lease:\n    seconds: 5\n"), &["e.yaml:2", "`lease`"]);
    names(&refused("e.yaml", "events:\n  max_deliveries: 0\n"), &["e.yaml:2", "`max_deliveries`"]);
    names(&refused("e.yaml", "events: [1]\n"), &["e.yaml:1", "`events`"]);
    names(&refused("e.yaml", "events:\n  url: [a]\n"), &["e.yaml:2", "`url`"]);
    names(&refused_variable("EVENTS_ENABLED", "maybe"), &["EVENTS_ENABLED", "`enabled`"]);
    names(&refused_variable("EVENTS__LEASE", "5"), &["EVENTS__LEASE", "500ms"]);
}

#[test]
fn what_cannot_be_read_is_named() {
    names(&refused("e.yaml", "events:\n  a: [\n"), &["e.yaml:3"]);
    names(&refused("e.toml", "[events\n"), &["e.toml:1"]);
    names(&refused("e.json", "{}"), &["e.json"]);
    let error = ConfigLoader::new().with_file("/no/such/file.yaml").load().expect_err("no such file");
    names(error.message(), &["/no/such/file.yaml"]);
}

#[test]
fn a_section_is_no_value_and_a_value_no_section() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "e.yaml", "events:\n  stream_key: x\n");
    let loader = ConfigLoader::new()
        .with_file(path)
        .with_environment(variables(&[("EVENTS__STREAM_KEY__DEEPER", "x")]));
    let message = without_directory(&loader.load().expect_err("deeper than a value"), directory.path());
    names(&message, &["EVENTS__STREAM_KEY__DEEPER", "e.yaml:2"]);
}

#[test]
fn a_url_can_stand_in_a_file_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let secret = file(&directory, "url", "redis://:hunter2@host/0\n");
    let text = format!("events:\n  url_file: {}\n", secret.display());
    let path = file(&directory, "e.yaml", &text);
    let config = loaded(ConfigLoader::new().with_file(&path));
    assert_eq!(config.broker_url().unwrap().unwrap().expose(), "redis://:hunter2@host/0");
    // A layer above replaces it, whichever way it says so.
    let environment = variables(&[("EVENTS_URL", "memory:")]);
    let config = loaded(ConfigLoader::new().with_file(&path).with_environment(environment));
    assert_eq!(config.broker_url().unwrap().unwrap().expose(), "memory:");

    let both = format!("{text}  url: 'memory:'\n");
    let config = loaded(ConfigLoader::new().with_file(file(&directory, "both.yaml", &both)));
    assert_eq!(config.broker_url().expect_err("both").kind(), ErrorKind::InvalidConfig);
    let missing = ConfigLoader::new().with_override("url_file", "/no/such/file", "--url-file");
    assert_eq!(loaded(missing).broker_url().expect_err("missing").kind(), ErrorKind::InvalidConfig);
    let empty = file(&directory, "empty", "\n").display().to_string();
    let empty = ConfigLoader::new().with_override("url_file", empty, "--url-file");
    assert_eq!(loaded(empty).broker_url().expect_err("empty").kind(), ErrorKind::InvalidConfig);
}

#[test]
fn no_secret_is_ever_printed() {
    let environment = variables(&[("EVENTS_URL", "redis://user:hunter2@host:6379/0")]);
    let loader = ConfigLoader::new().with_environment(environment);
    assert!(!format!("{loader:?}").contains("hunter2"));
    let settings = loader.load().unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert_eq!(settings.given()[0].value, "redis://user:[redacted]@host:6379/0");
    for text in ["events:\n  enabled: hunter2\n", "events:\n  max_deliveries: hunter2\n", "events: hunter2\n"]
    {
        assert!(!refused("e.yaml", text).contains("hunter2"), "{text}");
    }
}
