//! CloudEvents 1.0: the JSON format of structured mode, and binary mode.
//!
//! `type` is the event's type, `time` its timestamp, `data` its payload; `id`, `source`, `subject`, `dataschema` and
//! `datacontenttype` are what they are called. A schema version other than 1 is the extension `schemaversion`, and the
//! headers `traceparent` and `tracestate` are the extensions of those names, as the distributed tracing extension has it.
//!
//! What the specification demands of an event is checked before one is written.
//! Of one that is read the required attributes, the types of all values and the form of `time` and `data_base64` must be
//! right; an attribute's odd name or a source that is no URI is passed on, since nobody is helped by losing the event.

pub(super) mod attributes;
pub(super) mod binary;
mod media_type;
mod rules;
pub(super) mod structured;

pub(crate) use rules::broken_attribute_rule;

/// The only version there is; later ones of the same major number are read as it.
const SPEC_VERSION: &str = "1.0";

/// The extension that holds a schema version other than 1.
const SCHEMA_VERSION: &str = "schemaversion";

/// The headers that are extensions.
const TRACE_CONTEXT: [&str; 2] = ["traceparent", "tracestate"];

/// Whether an event of this specification version can be read.
fn is_known_version(version: &str) -> bool {
    version == SPEC_VERSION || version.strip_prefix("1.").is_some_and(|minor| minor.parse::<u32>().is_ok())
}

/// The schema version an extension holds, if it holds one.
fn schema_version(value: &crate::AttributeValue) -> Option<u64> {
    match value {
        crate::AttributeValue::Integer(number) => u64::try_from(*number).ok(),
        crate::AttributeValue::Text(text) => text.parse().ok(),
        crate::AttributeValue::Boolean(_) => None,
    }
}
