//! The name a broker gave to a stored event.

use std::fmt;

use smol_str::SmolStr;

/// A broker's name for one stored event.
///
/// Where [`Capabilities::replay`](crate::Capabilities::replay) holds it is also the event's position in its stream;
/// elsewhere it is opaque.
/// The text is the backend's own: `1770724800000-0` on Redis, a sequence number on SQLite.
/// Ids as short as these are copied without allocating.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(SmolStr);

impl MessageId {
    /// Takes a broker's id as it is.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self(SmolStr::new(id))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for MessageId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl From<String> for MessageId {
    fn from(id: String) -> Self {
        Self::new(id)
    }
}
