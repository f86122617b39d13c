//! What others need to know of a typed event.

use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::TypedEvent;

/// A typed event without its Rust type: what a document about it is made of. It can be stored as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EventDescription {
    /// The type of its events.
    pub event_type: String,
    /// The version of its schema.
    pub version: u64,
    /// The schema of its payload, of draft 7, whole in itself.
    pub schema: Value,
}

impl EventDescription {
    /// Describes a type.
    pub fn of<T: TypedEvent>() -> Self {
        // Draft 7 is what AsyncAPI's own schemas are made of.
        let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>();
        Self { event_type: T::TYPE.to_owned(), version: T::VERSION, schema: schema.to_value() }
    }

    /// A text that names type and version, of characters AsyncAPI allows in names.
    pub(crate) fn key(&self) -> String {
        let word = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
        let name: String = self.event_type.chars().map(word).collect();
        format!("{name}.v{}", self.version)
    }
}
