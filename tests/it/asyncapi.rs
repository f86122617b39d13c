//! `events asyncapi`: one document of what services say about their events, or one clear error.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use events_schema::asyncapi::CatalogEntry;
use events_schema::schemars::{self, JsonSchema};
use events_schema::{EventDescription, Producer, Reader, TypedEvent};
use events_system_tests::{Finished, Running, command};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_servers::PythonEnv;

use crate::verbs::run;

/// The schema AsyncAPI publishes.
const SCHEMA: &str = include_str!("../../crates/events-schema/tests/data/asyncapi-3.0.0.schema.json");

/// Whether a switch is on: `yes`, "no", or 'off'.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Switched {
    /// A name that older YAML takes for a truth value.
    on: bool,
    state: State,
    #[schemars(range(min = 0.5, max = 1e3))]
    weight: f64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
enum State {
    Yes,
    #[serde(rename = "null")]
    Null,
    #[serde(rename = "12:30")]
    Half,
}

impl TypedEvent for Switched {
    const TYPE: &'static str = "switches.switch";
    const VERSION: u64 = 2;
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Joined {
    users: Vec<String>,
}

impl TypedEvent for Joined {
    const TYPE: &'static str = "slack.join";
}

/// The catalogues of two services: one says what it sends, the other what it handles, and from where.
fn catalogs(directory: &Path) -> [PathBuf; 2] {
    let sends = Producer::<Switched>::new("switchboard").unwrap();
    let handles = Reader::<Switched>::new().unwrap();
    let mut elsewhere = CatalogEntry::received(&EventDescription::of::<Joined>());
    elsewhere.channel = Some("slack:events".to_owned());
    [
        written(directory, "sends.json", &json!([CatalogEntry::sent(sends.description())]).to_string()),
        written(
            directory,
            "handles.json",
            &json!([CatalogEntry::received(handles.description()), elsewhere]).to_string(),
        ),
    ]
}

fn written(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn asyncapi(words: &[&str], files: &[PathBuf]) -> Command {
    let mut command = command("events").unwrap();
    command.arg("asyncapi").args(words).args(files);
    command
}

/// What it prints when all is well.
fn printed(words: &[&str], files: &[PathBuf]) -> String {
    run(asyncapi(words, files)).success().unwrap().join("\n")
}

/// YAML as the platform's own services read it, whose parser takes more words for something else than text than the present
/// version of YAML does.
fn read_yaml(text: &str) -> Value {
    let python = PythonEnv::with_modules(&["yaml"]).unwrap();
    let mut command = Command::new(python.interpreter());
    command.args(["-c", "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"]);
    let lines = Running::start_with_input(command, text).unwrap().finish().unwrap().success().unwrap();
    serde_json::from_str(&lines.concat()).unwrap()
}

#[test]
fn what_two_services_say_is_one_document_that_is_valid() {
    let directory = TempDir::new().unwrap();
    let files = catalogs(directory.path());
    let words = [
        "--title",
        "switches: \"all\"",
        "--document-version",
        "1.2",
        "--stream-key",
        "system:events",
        "--url",
        "redis://user:hunter2@broker.example:6379/0",
    ];
    let yaml = printed(&words, &files);
    let json = printed(&[&words[..], &["--format", "json"]].concat(), &files);
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read_yaml(&yaml), document, "{yaml}");
    assert_eq!(printed(&[&words[..], &["--format", "yaml"]].concat(), &files), yaml, "YAML is the default");

    let schema = jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
    let wrong: Vec<String> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{json}");

    assert_eq!(document["info"], json!({"title": "switches: \"all\"", "version": "1.2"}));
    let servers = json!({"broker": {"host": "broker.example:6379", "protocol": "redis"}});
    assert_eq!(document["servers"], servers, "without credentials");
    let operations = document["operations"].as_object().unwrap().values();
    let mut found: Vec<(&str, &str, &str)> = operations
        .map(|operation| {
            let at = |reference: &Value| {
                document.pointer(reference["$ref"].as_str().unwrap().trim_start_matches('#'))
            };
            let channel = at(&operation["channel"]).unwrap();
            let message = at(at(&operation["messages"][0]).unwrap()).unwrap();
            (
                operation["action"].as_str().unwrap(),
                channel["address"].as_str().unwrap(),
                message["name"].as_str().unwrap(),
            )
        })
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("receive", "slack:events", Joined::TYPE),
            ("receive", "system:events", Switched::TYPE),
            ("send", "system:events", Switched::TYPE),
        ]
    );
}

#[test]
fn without_a_broker_and_a_name_a_document_is_valid_too() {
    let directory = TempDir::new().unwrap();
    let empty = written(directory.path(), "empty.json", "[]");
    let document: Value = serde_json::from_str(&printed(&["--format", "json"], &[empty])).unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
    assert!(schema.is_valid(&document), "{document}");
    assert_eq!((&document["info"]["title"], &document["servers"]), (&json!("events"), &json!({})));
}

#[test]
fn its_help_names_every_flag() {
    let help = printed(&["--help"], &[]);
    for word in [
        "<FILE>...",
        "--title",
        "--document-version",
        "--format",
        "yaml",
        "json",
        "--url",
        "--config",
        "--stream-key",
    ] {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
}

/// One error, what it is about, nothing printed, and the exit code of a wrong command line.
fn refused(finished: Finished, parts: &[&str]) {
    assert_eq!(finished.status.code(), Some(2), "{}", finished.errors);
    assert!(finished.lines.is_empty(), "{:?}", finished.lines);
    for part in parts {
        assert!(finished.errors.contains(part), "{part} is not in\n{}", finished.errors);
    }
}

#[test]
fn a_typo_is_a_clear_error() {
    let directory = TempDir::new().unwrap();
    let [good, _] = catalogs(directory.path());
    let whole = || -> Value { serde_json::from_str(&fs::read_to_string(&good).unwrap()).unwrap() };
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut catalog = whole();
        change(&mut catalog[0]);
        catalog.to_string()
    };
    let refused_with =
        |words: &[&str], parts: &[&str]| refused(run(asyncapi(words, std::slice::from_ref(&good))), parts);
    refused_with(&["--titel", "x"], &["--titel", "--title"]);
    refused_with(&["--format", "xml"], &["xml", "yaml", "json"]);
    refused_with(&["--url", "redsi://broker"], &["redsi"]);
    refused_with(&["--config", "no-such-file.yaml"], &["no-such-file.yaml"]);
    refused(run(asyncapi(&[], &[])), &["<FILE>..."]);

    for (name, text, parts) in [
        ("cut.json", "[{\"action\": \"send\"".to_owned(), &["line 1 column 18"][..]),
        ("object.json", "{}".to_owned(), &["a sequence"]),
        ("yaml.json", "- action: send\n".to_owned(), &["line 1 column 2"]),
        ("key.json", changed(&|entry| entry["chanel"] = "x".into()), &["chanel", "channel"]),
        ("action.json", changed(&|entry| entry["action"] = "shout".into()), &["shout", "receive"]),
        ("bare.json", changed(&|entry| *entry = json!({"action": "send"})), &["event"]),
        ("version.json", changed(&|entry| entry["event"]["version"] = "2".into()), &["version", "u64"]),
    ] {
        let bad = written(directory.path(), name, &text);
        // Nothing is printed of the good one that comes first.
        let finished = run(asyncapi(&[], &[good.clone(), bad]));
        refused(finished, &[&[name, "is no catalogue of events"], parts].concat());
    }
    let missing = directory.path().join("missing.json");
    refused(run(asyncapi(&[], &[good.clone(), missing])), &["missing.json cannot be read", "No such file"]);
    let folder = directory.path().to_owned();
    refused(run(asyncapi(&[], &[folder])), &["cannot be read"]);
}

#[test]
fn whoever_reads_no_further_ends_it_quietly_and_a_full_disk_does_not() {
    let directory = TempDir::new().unwrap();
    // Much longer than a pipe holds.
    let many: Vec<CatalogEntry> = (0..500)
        .map(|n| {
            let mut entry = CatalogEntry::sent(&EventDescription::of::<Switched>());
            entry.channel = Some(format!("stream-{n}"));
            entry
        })
        .collect();
    let many = written(directory.path(), "many.json", &json!(many).to_string());
    let mut head = Running::start(asyncapi(&[], std::slice::from_ref(&many))).unwrap();
    assert_eq!(head.line().unwrap().as_deref(), Some("asyncapi: \"3.0.0\""));
    head.close_output().unwrap();
    let finished = head.finish().unwrap();
    assert_eq!((finished.status.code(), finished.errors.as_str()), (Some(0), ""));

    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = asyncapi(&[], &[many]).stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left"), "{said}");
}
