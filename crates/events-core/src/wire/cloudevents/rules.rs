//! What the specification demands of an event that is written.

use fluent_uri::{Uri, UriRef};

use super::media_type::is_media_type;
use crate::attributes::Attributes;
use crate::wire::fields::{ENCODE, cannot_carry};
use crate::{AttributeValue, Error, ErrorKind, Event, Result};

/// The longest name the specification recommends.
const NAME_BYTES: usize = 20;

/// Names that mean something else: the attributes of every event, and the members that hold data.
const TAKEN: [&str; 9] =
    ["data", "datacontenttype", "dataschema", "id", "source", "specversion", "subject", "time", "type"];

/// The field and the rule it breaks, of attributes somebody makes an event with.
pub(crate) fn broken_attribute_rule(attributes: &Attributes) -> Option<(String, String)> {
    let broken = |field: &str, rule: Option<String>| rule.map(|rule| (field.to_owned(), rule));
    let subject = attributes.subject.as_deref().and_then(broken_text_rule);
    let data_schema = attributes.data_schema.as_deref().and_then(broken_schema_rule);
    let content_type = attributes.data_content_type.as_deref().and_then(broken_content_type_rule);
    broken("subject", subject)
        .or_else(|| broken("data_schema", data_schema))
        .or_else(|| broken("data_content_type", content_type))
        .or_else(|| {
            attributes.extensions.iter().find_map(|(name, value)| {
                let rule = broken_new_name_rule(name).or_else(|| broken_value_rule(value));
                broken("extensions", rule.map(|rule| format!("`{}`: {rule}", name.escape_debug())))
            })
        })
}

/// Refuses an event whose attributes the specification does not allow.
pub(super) fn check(event: &Event) -> Result<()> {
    let refuse = |attribute: &str, rule: String| {
        Err(Error::new(
            ErrorKind::InvalidEvent,
            ENCODE,
            format!("CloudEvents attribute `{attribute}` {rule}"),
        ))
    };
    let Some(id) = event.id() else { return Err(cannot_carry("an event without an id")) };
    for (attribute, text) in [("id", id), ("type", event.event_type()), ("source", event.source())] {
        if let Some(rule) = broken_text_rule(text) {
            return refuse(attribute, rule);
        }
    }
    if UriRef::parse(event.source()).is_err() {
        return refuse("source", format!("is {:?}, which is no URI reference", event.source()));
    }
    let Some(attributes) = &event.attributes else { return Ok(()) };
    let texts = [
        ("subject", attributes.subject.as_deref().and_then(broken_text_rule)),
        ("dataschema", attributes.data_schema.as_deref().and_then(broken_schema_rule)),
        ("datacontenttype", attributes.data_content_type.as_deref().and_then(broken_content_type_rule)),
    ];
    for (attribute, rule) in texts {
        if let Some(rule) = rule {
            return refuse(attribute, rule);
        }
    }
    for (name, value) in &attributes.extensions {
        if let Some(rule) = broken_name_rule(name).or_else(|| broken_value_rule(value)) {
            return refuse(&name.escape_debug().to_string(), rule);
        }
    }
    Ok(())
}

/// Whether a text may be an attribute's value.
pub(super) fn is_text(text: &str) -> bool {
    broken_text_rule(text).is_none()
}

/// An attribute that is there is not empty, and has neither control characters nor code points that will never be
/// characters. Halves of surrogate pairs are forbidden too; no text of Rust's has one.
fn broken_text_rule(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("must not be empty".to_owned());
    }
    // Every byte is looked at, come what may, so that the compiler can look at many at a time.
    if text.bytes().fold(true, |plain, byte| plain & (b' '..0x7f).contains(&byte)) {
        return None;
    }
    let odd = text.chars().find(|c| {
        c.is_control()
            || matches!(*c, '\u{fdd0}'..='\u{fdef}')
            || matches!(u32::from(*c) & 0xffff, 0xfffe | 0xffff)
    })?;
    Some(format!("has {odd:?}, which no attribute may have"))
}

fn broken_schema_rule(uri: &str) -> Option<String> {
    broken_text_rule(uri).or_else(|| Uri::parse(uri).is_err().then(|| format!("is {uri:?}, which is no URI")))
}

fn broken_content_type_rule(media_type: &str) -> Option<String> {
    let rule = broken_text_rule(media_type);
    rule.or_else(|| {
        (!is_media_type(media_type)).then(|| format!("is {media_type:?}, which is no media type"))
    })
}

fn broken_value_rule(value: &AttributeValue) -> Option<String> {
    match value {
        // An extension may be empty: only the attributes of the specification itself forbid it.
        AttributeValue::Text(text) if !text.is_empty() => broken_text_rule(text),
        _ => None,
    }
}

/// The rule of an extension somebody makes an event with.
fn broken_new_name_rule(name: &str) -> Option<String> {
    if name.len() > NAME_BYTES {
        return Some(format!("the name of an extension has at most {NAME_BYTES} characters"));
    }
    if super::TRACE_CONTEXT.contains(&name) {
        return Some("is set as a header".to_owned());
    }
    if name == super::SCHEMA_VERSION {
        return Some("is set as the version".to_owned());
    }
    broken_name_rule(name)
}

/// The rule of an extension that is written.
fn broken_name_rule(name: &str) -> Option<String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        Some("is no name for an extension: names are of `a` to `z` and `0` to `9`".to_owned())
    } else if TAKEN.contains(&name) {
        Some("is no name for an extension: it means something else".to_owned())
    } else {
        None
    }
}
