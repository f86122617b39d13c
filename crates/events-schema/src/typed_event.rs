//! The trait of a type that is the payload of events.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type that is the payload of one type of events.
pub trait TypedEvent: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The type of its events: two or more lower-case words of `[a-z0-9_-]`, joined by dots.
    const TYPE: &'static str;

    /// The version of its schema, from 1. Default: 1.
    const VERSION: u64 = 1;
}
