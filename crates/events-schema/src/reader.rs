//! Reads events of a type, older ones too.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use events_core::{Error, ErrorKind, Event, Result};
use serde_json::Value;

use crate::producer::check_names;
use crate::schema::Schema;
use crate::{EventDescription, TypedEvent};

const OPERATION: &str = "read event";

type Upcast = Box<dyn Fn(Value) -> std::result::Result<Value, String> + Send + Sync>;

/// Reads the payloads of events of one type: brings older ones up to date, checks them against the schema, and makes them the
/// Rust type.
pub struct Reader<T> {
    description: EventDescription,
    schema: Schema,
    /// Each makes a payload of its version one of the next.
    upcasts: BTreeMap<u64, Upcast>,
    payload: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("event_type", &self.description.event_type)
            .field("version", &self.description.version)
            .field("upcasts", &self.upcasts.keys())
            .finish_non_exhaustive()
    }
}

impl<T: TypedEvent> Reader<T> {
    /// A reader of the present version.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for a type that is no name for events, for version 0 and for a schema that
    /// is none.
    pub fn new() -> Result<Self> {
        check_names::<T>()?;
        let description = EventDescription::of::<T>();
        let schema = Schema::compile(&description)?;
        Ok(Self { description, schema, upcasts: BTreeMap::new(), payload: PhantomData })
    }

    /// Takes a payload from version `from` to the next.
    ///
    /// What it returns as an error, in words, is the reason of a dead letter.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) when there is one for this version already, and when the version is 0 or
    /// none before the present one.
    pub fn with_upcast(
        mut self,
        from: u64,
        upcast: impl Fn(Value) -> std::result::Result<Value, String> + Send + Sync + 'static,
    ) -> Result<Self> {
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidConfig, "typed event", message));
        if from == 0 || from >= T::VERSION {
            return invalid(format!("`{}`: version {from} is none before version {}", T::TYPE, T::VERSION));
        }
        if self.upcasts.insert(from, Box::new(upcast)).is_some() {
            return invalid(format!("`{}`: version {from} has an upcast already", T::TYPE));
        }
        Ok(self)
    }

    /// Reads an event's payload.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`](ErrorKind::InvalidEvent) for an event of another type, for an older version without an upcast, and
    /// for a payload that violates the schema; the message says which rule, and where.
    pub fn read(&self, event: &Event) -> Result<T> {
        let invalid = |message: String| Error::new(ErrorKind::InvalidEvent, OPERATION, message);
        if event.event_type() != T::TYPE {
            let found = event.event_type();
            return Err(invalid(format!("event_type: is {found:?}, not {:?}", T::TYPE)));
        }
        let mut payload: Value = event.payload_as()?;
        for version in event.version()..T::VERSION {
            let upcast = self.upcasts.get(&version).ok_or_else(|| {
                invalid(format!("version: there is no way from version {version} to version {}", T::VERSION))
            })?;
            payload = upcast(payload).map_err(|reason| {
                invalid(format!("payload: cannot be taken from version {version} to the next: {reason}"))
            })?;
        }
        self.schema.check(OPERATION, &payload)?;
        serde_json::from_value(payload).map_err(|error| {
            invalid(format!("payload: does not fit {}", std::any::type_name::<T>())).with_source(error)
        })
    }

    /// What others need to know of the events it reads.
    pub fn description(&self) -> &EventDescription {
        &self.description
    }
}
