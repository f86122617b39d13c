//! `BodyFormat`: how the body of a message is read.

use serde::Deserialize;

/// How the body of a message is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum BodyFormat {
    /// As an event; where it is none, and has the shape of SNS's envelope, as the event inside.
    #[default]
    Auto,
    /// As an event, though it may look like an envelope.
    Raw,
    /// As SNS's envelope, and as nothing else.
    Envelope,
}
