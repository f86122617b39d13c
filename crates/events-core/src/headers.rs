//! What travels beside an event's JSON: trace context, correlation ids, the user's own.

use std::collections::{BTreeMap, btree_map};

/// Names the wire keeps for itself: the body's field, and the attributes some brokers carry for filtering.
const RESERVED: [&str; 7] =
    ["event", "__data__", "event_type", "source", "event_id", "version", "content_type"];

/// How the names of CloudEvents attributes begin where they travel as fields.
pub(crate) const ATTRIBUTE_PREFIX: &str = "ce_";

/// Text headers of an event, ordered by name, each name once.
///
/// They are stream fields on Redis and message attributes on SNS/SQS.
/// An empty value is kept; an empty name, a control character in a name, the names `event`, `__data__`, `event_type`,
/// `source`, `event_id`, `version` and `content_type`, and names that begin with `ce_` are refused when an event is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// No headers; allocates nothing.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The value of the header `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets a header and returns the value it replaces.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) -> Option<String> {
        self.0.insert(name.into(), value.into())
    }

    /// Takes a header away and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// How many headers there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The rule the first unusable name breaks, if there is one.
    pub(crate) fn broken_rule(&self) -> Option<String> {
        self.0.keys().find_map(|name| {
            if name.is_empty() {
                Some("a header needs a name".to_owned())
            } else if name.chars().any(char::is_control) {
                Some(format!("the name {name:?} has a control character"))
            } else if RESERVED.contains(&name.as_str()) || name.starts_with(ATTRIBUTE_PREFIX) {
                Some(format!("the name `{name}` is reserved for the wire format"))
            } else {
                None
            }
        })
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<N: Into<String>, V: Into<String>> Extend<(N, V)> for Headers {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        self.0.extend(pairs.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
}

impl IntoIterator for Headers {
    type Item = (String, String);
    type IntoIter = btree_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
