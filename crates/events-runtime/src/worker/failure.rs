//! Why handling an event failed, and whether trying again may help.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use events_core::{Error, ErrorKind};

use crate::outage::Chain;

/// Why handling an event failed.
///
/// Every error converts into one with `?` and is tried again; what cannot get better is said with
/// [`permanent`](Self::permanent). An [`Error`] that says the event itself is wrong, as
/// [`payload_as`](events_core::Event::payload_as) returns, is permanent by itself.
///
/// Like `anyhow::Error` this is no [`std::error::Error`], which is what lets every error convert into it.
pub struct Failure {
    pub(crate) source: Box<dyn StdError + Send + Sync>,
    pub(crate) permanent: bool,
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    /// No further attempt can succeed: the event is dead-lettered with this reason.
    pub fn permanent(reason: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: reason.into(), permanent: true, retry_after: None }
    }

    /// Worth another attempt, after this pause rather than the one the policy has.
    pub fn retry_after(reason: impl Into<Box<dyn StdError + Send + Sync>>, pause: Duration) -> Self {
        Self { source: reason.into(), permanent: false, retry_after: Some(pause) }
    }

    /// Whether no further attempt can succeed.
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// What a panic said.
    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(|text| &**text));
        format!("the handler panicked: {}", text.unwrap_or("without a message")).into()
    }

    /// The failure with all its causes, as logs and dead letters keep it.
    pub(crate) fn in_words(&self) -> String {
        Chain(&*self.source).to_string()
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        let source = error.into();
        let about_the_event =
            |error: &Error| matches!(error.kind(), ErrorKind::InvalidEvent | ErrorKind::TooLarge);
        let permanent = source.downcast_ref::<Error>().is_some_and(about_the_event);
        Self { source, permanent, retry_after: None }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").field("source", &self.source).field("permanent", &self.permanent).finish()
    }
}
