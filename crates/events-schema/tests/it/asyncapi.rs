//! Documents are valid against AsyncAPI's own schema, as JSON and as YAML.

use events_schema::asyncapi::{Action, CatalogEntry, Document};
use events_schema::schemars::{self, JsonSchema};
use events_schema::{EventDescription, TypedEvent};
use saphyr_parser::{Event as Token, Parser, ScalarStyle};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::typed::UsersUpdated;

/// A tree, whose schema refers to itself and to another.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Tree {
    /// What it is: "a: b", 'c', or ë.
    kind: Option<Kind>,
    children: Vec<Self>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
enum Kind {
    Yes {
        on: bool,
        weight: f64,
        // Names YAML would take for something else.
        #[serde(rename = "null")]
        null: bool,
        #[serde(rename = "true")]
        truth: bool,
        #[serde(rename = "1.5")]
        number: bool,
        #[serde(rename = "a: b #c")]
        odd: bool,
    },
    No(Box<Inner>),
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Inner {
    tree: Option<Box<Tree>>,
}

impl TypedEvent for Tree {
    const TYPE: &'static str = "forest.grow";
}

fn document() -> Document {
    let (users, tree) = (EventDescription::of::<UsersUpdated>(), EventDescription::of::<Tree>());
    Document::new("qontract-api", "1.2.3")
        .with_description("Says what it did: \"everything\"\n- and more")
        .with_server("main", "localhost:6379", "redis")
        .with_sent(&users, "qontract:events")
        .with_received(&users, "qontract:events")
        .with_received(&tree, "qontract:events")
        .with_event(&tree, "qontract/events", Action::Send)
}

fn wrong(document: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(include_str!("../data/asyncapi-3.0.0.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.iter_errors(document).map(|error| error.to_string()).collect()
}

#[test]
fn a_document_is_valid_against_the_published_schema() {
    assert_eq!(wrong(&document().to_value()), [""; 0]);
    assert_eq!(wrong(&Document::new("empty", "0").to_value()), [""; 0]);
    let mut broken = document().to_value();
    broken["operations"].as_object_mut().unwrap().values_mut().next().unwrap()["action"] = "shout".into();
    assert!(!wrong(&broken).is_empty(), "the schema looks at what it should");
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document().to_value();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 15, "{found:?}");
    for reference in found {
        // The whole document is no schema, though every schema may refer to its own root.
        let pointer =
            reference.strip_prefix('#').filter(|pointer| !pointer.is_empty()).expect("a place within");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn channels_operations_and_messages_are_those_that_were_named() {
    let document = document().to_value();
    let names = |part: &str| -> Vec<String> { document[part].as_object().unwrap().keys().cloned().collect() };
    assert_eq!(names("channels").len(), 2, "addresses that look alike have channels of their own");
    assert_eq!(names("operations").len(), 4);
    let addresses: Vec<&Value> =
        document["channels"].as_object().unwrap().values().map(|c| &c["address"]).collect();
    assert_eq!(addresses, ["qontract/events", "qontract:events"]);
    let message = &document["components"]["messages"]["slack-usergroups.update_users.v3"];
    assert_eq!(message["name"], UsersUpdated::TYPE);
    for operation in document["operations"].as_object().unwrap().values() {
        let message = operation["messages"][0]["$ref"].as_str().unwrap();
        assert!(message.starts_with("#/channels/"), "a message of its channel: {message}");
    }
}

#[test]
fn what_is_said_of_application_servers_and_events_is_in_the_document() {
    let document = document().to_value();
    assert_eq!(document["info"]["description"], "Says what it did: \"everything\"\n- and more");
    assert_eq!(document["servers"]["main"], json!({"host": "localhost:6379", "protocol": "redis"}));
    let tree = &document["components"]["messages"]["forest.grow.v1"];
    assert_eq!(tree["description"], "A tree, whose schema refers to itself and to another.");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(schemas.values().all(|schema| schema.get("$schema").is_none()), "the document has one dialect");
}

#[test]
fn names_are_of_the_characters_asyncapi_allows() {
    let document = document().with_server("main: \"eu\"", "localhost", "redis").to_value();
    for part in ["/servers", "/channels", "/operations", "/components/messages", "/components/schemas"] {
        let members = document.pointer(part).unwrap().as_object().unwrap();
        assert!(!members.is_empty(), "{part}");
        for name in members.keys() {
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)), "{part}: {name}");
        }
    }
}

#[test]
fn the_yaml_says_what_the_json_says() {
    let document = document();
    let from_json: Value = serde_json::from_str(&document.to_json()).unwrap();
    let yaml = document.to_yaml();
    assert_eq!(from_json, document.to_value());
    assert_eq!(read_yaml(&yaml), document.to_value(), "{yaml}");
    assert!(yaml.starts_with("asyncapi: \"3.0.0\"\n"), "{yaml}");
}

#[test]
fn a_description_survives_being_stored() {
    let entry =
        CatalogEntry { action: Action::Receive, channel: None, event: EventDescription::of::<Tree>() };
    let stored = serde_json::to_string(&entry).unwrap();
    let read: CatalogEntry = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, entry);
    let document = Document::new("t", "1").with_entry(&read, "s").to_value();
    assert_eq!(document["channels"]["s"]["address"], "s");
    let elsewhere = CatalogEntry { channel: Some("t".to_owned()), ..CatalogEntry::sent(&entry.event) };
    let document = Document::new("t", "1").with_entry(&elsewhere, "s").to_value();
    assert_eq!(document["channels"]["t"]["address"], "t");
    let misspelled = stored.replace("\"action\"", "\"acton\"");
    assert!(serde_json::from_str::<CatalogEntry>(&misspelled).is_err());
    let more = stored.replacen('{', "{\"chanel\":\"t\",", 1);
    assert!(serde_json::from_str::<CatalogEntry>(&more).is_err(), "an unknown key is a typo");
}

/// YAML as a parser that knows nothing of this crate reads it, with plain scalars in the types of YAML's core schema.
fn read_yaml(yaml: &str) -> Value {
    fn value<'i>(tokens: &mut impl Iterator<Item = Token<'i>>) -> Option<Value> {
        match tokens.next().unwrap() {
            Token::Scalar(text, ScalarStyle::Plain, ..) => Some(match &*text {
                "true" => true.into(),
                "false" => false.into(),
                "null" => Value::Null,
                number => serde_json::from_str(number).unwrap_or_else(|_| number.into()),
            }),
            Token::Scalar(text, ..) => Some(text.into_owned().into()),
            Token::SequenceStart(..) => Some(std::iter::from_fn(|| value(tokens)).collect()),
            Token::MappingStart(..) => {
                let mut members = Map::new();
                while let Some(name) = value(tokens) {
                    members.insert(name.as_str().unwrap().to_owned(), value(tokens).unwrap());
                }
                Some(members.into())
            }
            Token::SequenceEnd | Token::MappingEnd => None,
            other => panic!("{other:?}"),
        }
    }
    let mut tokens = Parser::new_from_str(yaml)
        .map(|token| token.unwrap().0)
        .filter(|token| !matches!(token, Token::StreamStart | Token::DocumentStart(..) | Token::Nothing));
    value(&mut tokens).unwrap()
}
