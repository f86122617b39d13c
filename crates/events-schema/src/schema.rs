//! A compiled schema, and what a payload that violates it is told.

use std::fmt::Write as _;

use events_core::{Error, ErrorKind, Result};
use jsonschema::Validator;
use serde_json::Value;

use crate::EventDescription;

/// How many violations an error names.
const NAMED: usize = 3;

#[derive(Debug)]
pub(crate) struct Schema {
    validator: Validator,
}

impl Schema {
    pub(crate) fn compile(description: &EventDescription) -> Result<Self> {
        let EventDescription { event_type, version, schema } = description;
        let validator = jsonschema::validator_for(schema).map_err(|error| {
            Error::new(
                ErrorKind::InvalidConfig,
                "compile schema",
                format!("the schema of `{event_type}` version {version} is none: {error}"),
            )
        })?;
        Ok(Self { validator })
    }

    /// Refuses a payload that violates the schema, and says where and how, without its values, which may be secrets.
    pub(crate) fn check(&self, operation: &'static str, payload: &Value) -> Result<()> {
        let mut violations = self.validator.iter_errors(payload).peekable();
        if violations.peek().is_none() {
            return Ok(());
        }
        let mut message = "payload: violates its schema: ".to_owned();
        for (at, violation) in violations.by_ref().take(NAMED).enumerate() {
            let between = if at == 0 { "" } else { "; " };
            let place = violation.instance_path().to_string();
            let place = if place.is_empty() { "the payload" } else { &place };
            let written = write!(message, "{between}{place}: {}", violation.masked());
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        }
        match violations.count() {
            0 => {}
            more => message.push_str(&format!("; and {more} more")),
        }
        Err(Error::new(ErrorKind::InvalidEvent, operation, message))
    }
}
