//! Typed events: what a service says, as Rust types with a name, a version and a JSON Schema.

#![doc = include_str!("../README.md")]

mod description;
mod schema;
mod typed_event;

mod producer;
mod reader;

pub mod asyncapi;

pub use description::EventDescription;
pub use producer::Producer;
pub use reader::Reader;
pub use typed_event::TypedEvent;

/// The crate the schemas are derived with; re-exported so that derives and this crate agree on its version.
pub use schemars;
