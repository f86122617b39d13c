//! Puts a document together.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Action, CatalogEntry, yaml};
use crate::EventDescription;

/// An AsyncAPI 3.0 document about one application.
#[derive(Clone, Debug)]
#[must_use = "a document does nothing until it is written"]
pub struct Document {
    title: String,
    version: String,
    description: Option<String>,
    servers: BTreeMap<String, Value>,
    /// Of each channel, by its address: which events go through it, and what is done with them.
    channels: BTreeMap<String, BTreeMap<(String, Action), EventDescription>>,
}

impl Document {
    /// A document without servers and channels, about the application `title` in its version `version`.
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            description: None,
            servers: BTreeMap::new(),
            channels: BTreeMap::new(),
        }
    }

    /// Says what the application is for.
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Names a broker: its host, with a port but without credentials, and its protocol, such as `redis` or `sqs`.
    pub fn with_server(mut self, name: &str, host: &str, protocol: &str) -> Self {
        self.servers.insert(component_name(name), json!({"host": host, "protocol": protocol}));
        self
    }

    /// The application publishes these events to the stream, queue or topic at `address`.
    pub fn with_sent(self, event: &EventDescription, address: &str) -> Self {
        self.with_event(event, address, Action::Send)
    }

    /// The application handles these events from the stream or queue at `address`.
    pub fn with_received(self, event: &EventDescription, address: &str) -> Self {
        self.with_event(event, address, Action::Receive)
    }

    /// As [`with_sent`](Self::with_sent) or [`with_received`](Self::with_received). The same event twice is there once.
    pub fn with_event(mut self, event: &EventDescription, address: &str, action: Action) -> Self {
        let channel = self.channels.entry(address.to_owned()).or_default();
        channel.insert((event.key(), action), event.clone());
        self
    }

    /// What a service says in its catalogue; `address` is the channel where the entry names none.
    pub fn with_entry(self, entry: &CatalogEntry, address: &str) -> Self {
        self.with_event(&entry.event, entry.channel.as_deref().unwrap_or(address), entry.action)
    }

    /// The document as a JSON value.
    pub fn to_value(&self) -> Value {
        let mut info = json!({"title": self.title, "version": self.version});
        if let Some(description) = &self.description {
            info["description"] = description.as_str().into();
        }
        let (mut channels, mut operations) = (Map::new(), Map::new());
        let (mut messages, mut schemas) = (Map::new(), Map::new());
        for (address, events) in &self.channels {
            let channel = unused_name(&channels, component_name(address));
            let mut members = Map::new();
            for ((key, action), event) in events {
                members.insert(key.clone(), reference(&["components", "messages", key]));
                messages.insert(key.clone(), message(event, &mut schemas));
                let operation = json!({
                    "action": action.as_str(),
                    "channel": reference(&["channels", &channel]),
                    "messages": [reference(&["channels", &channel, "messages", key])],
                });
                operations.insert(format!("{}.{channel}.{key}", action.as_str()), operation);
            }
            channels.insert(channel, json!({"address": address, "messages": members}));
        }
        json!({
            "asyncapi": "3.0.0",
            "info": info,
            "defaultContentType": "application/json",
            "servers": self.servers,
            "channels": channels,
            "operations": operations,
            "components": {"messages": messages, "schemas": schemas},
        })
    }

    /// The document as indented JSON.
    pub fn to_json(&self) -> String {
        format!("{:#}\n", self.to_value())
    }

    /// The document as YAML.
    pub fn to_yaml(&self) -> String {
        yaml::document(&self.to_value())
    }
}

fn message(event: &EventDescription, schemas: &mut Map<String, Value>) -> Value {
    let key = event.key();
    let mut payload = event.schema.clone();
    let definitions = payload.as_object_mut().and_then(|schema| {
        // Which dialect it is, AsyncAPI says for the whole document.
        schema.remove("$schema");
        schema.remove("definitions")
    });
    if let Some(Value::Object(definitions)) = definitions {
        for (name, mut definition) in definitions {
            move_references(&mut definition, &key);
            schemas.insert(definition_name(&key, &name), definition);
        }
    }
    move_references(&mut payload, &key);
    schemas.insert(key.clone(), payload);
    let title = event.schema.get("title").and_then(Value::as_str).unwrap_or(&event.event_type);
    let mut message = json!({
        "name": event.event_type,
        "title": format!("{title}, version {}", event.version),
        "contentType": "application/json",
        "payload": reference(&["components", "schemas", &key]),
    });
    if let Some(description) = event.schema.get("description").and_then(Value::as_str) {
        message["description"] = description.into();
    }
    message
}

/// Points references to definitions of a schema's own to where the document has them.
fn move_references(schema: &mut Value, key: &str) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" => {
                        if target == "#" {
                            *target = pointer(&["components", "schemas", key]);
                        } else if let Some(definition) = target.strip_prefix("#/definitions/") {
                            let definition = definition.replace("~1", "/").replace("~0", "~");
                            *target = pointer(&["components", "schemas", &definition_name(key, &definition)]);
                        }
                    }
                    member => move_references(member, key),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_references(item, key)),
        _ => {}
    }
}

fn definition_name(key: &str, name: &str) -> String {
    format!("{key}.{}", component_name(name))
}

/// A name of the characters AsyncAPI allows in one.
fn component_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' }).collect()
}

/// The name, with a number where addresses that differ would have the same.
fn unused_name(taken: &Map<String, Value>, name: String) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    names.find(|name| !taken.contains_key(name)).unwrap_or(name)
}

fn reference(path: &[&str]) -> Value {
    json!({"$ref": pointer(path)})
}

fn pointer(path: &[&str]) -> String {
    let escaped = path.iter().map(|part| part.replace('~', "~0").replace('/', "~1"));
    escaped.fold("#".to_owned(), |pointer, part| format!("{pointer}/{part}"))
}
