//! Makes events of a type.

use std::marker::PhantomData;

use events_core::{Error, ErrorKind, Event, EventBuilder, Result};

use crate::schema::Schema;
use crate::{EventDescription, TypedEvent};

const OPERATION: &str = "make event";

/// Makes events of one type from one source. Type, version and source are checked once, when it is made.
#[derive(Debug)]
pub struct Producer<T> {
    source: String,
    description: EventDescription,
    schema: Schema,
    validating: bool,
    payload: PhantomData<fn(T)>,
}

impl<T: TypedEvent> Producer<T> {
    /// A producer for the system `source`, which trusts serde to write what the schema says.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for a type that is no name for events, for version 0 and for a schema that
    /// is none; [`InvalidEvent`](ErrorKind::InvalidEvent) for an empty source.
    pub fn new(source: impl Into<String>) -> Result<Self> {
        let source = source.into();
        check_names::<T>()?;
        Event::builder(T::TYPE, source.as_str()).build()?;
        let description = EventDescription::of::<T>();
        let schema = Schema::compile(&description)?;
        Ok(Self { source, description, schema, validating: false, payload: PhantomData })
    }

    /// Checks every payload against the schema, for rules a Rust type does not enforce: bounds, patterns, formats.
    #[must_use]
    pub fn validating(mut self) -> Self {
        self.validating = true;
        self
    }

    /// An event that happens now.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`](ErrorKind::InvalidEvent) for a payload that is no JSON object, and when validating for one that
    /// violates its schema.
    pub fn event(&self, payload: &T) -> Result<Event> {
        self.builder(payload)?.build()
    }

    /// As [`event`](Self::event), to be given an id, headers or a time of its own.
    ///
    /// # Errors
    ///
    /// As [`event`](Self::event).
    pub fn builder(&self, payload: &T) -> Result<EventBuilder> {
        if self.validating {
            let value = serde_json::to_value(payload).map_err(|error| {
                Error::new(ErrorKind::InvalidEvent, OPERATION, "payload: cannot be written as JSON")
                    .with_source(error)
            })?;
            self.schema.check(OPERATION, &value)?;
        }
        Ok(Event::builder(T::TYPE, self.source.as_str()).with_version(T::VERSION).with_payload(payload))
    }

    /// What others need to know of its events.
    pub fn description(&self) -> &EventDescription {
        &self.description
    }
}

/// Refuses a type whose constants can never be right.
pub(crate) fn check_names<T: TypedEvent>() -> Result<()> {
    let invalid = |message: String| Error::new(ErrorKind::InvalidConfig, "typed event", message);
    if T::VERSION == 0 {
        return Err(invalid(format!("`{}`: versions count from 1", T::TYPE)));
    }
    Event::builder(T::TYPE, "any").build().map(drop).map_err(|error| invalid(error.message().to_owned()))
}
