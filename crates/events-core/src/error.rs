//! The one error type: what the caller can do, what was being done, and whether trying again may help.

use std::borrow::Cow;
use std::error::Error as StdError;

/// The result of every fallible call of the workspace.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// Why a call failed, named by what the caller can do about it.
///
/// Each kind says what became of the event.
/// Tests and callers decide by kind, never by text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is wrong or missing; nothing was sent. Correct the configuration.
    InvalidConfig,
    /// The event breaks a rule of the model, or bytes that were read are no event.
    /// On publishing nothing was sent; on reading the raw bytes went to the dead letters.
    InvalidEvent,
    /// The event is over the backend's limit; it was not sent.
    TooLarge,
    /// The named stream, queue or group does not exist and may not be created; nothing was sent or settled.
    NotFound,
    /// The credentials are wrong or lack a right; nothing was sent or settled.
    PermissionDenied,
    /// The broker or the disk has no room, or a bounded queue is full; the event was not accepted. Transient.
    Full,
    /// The broker asks for fewer calls; the event was not accepted. Transient.
    Throttled,
    /// The broker cannot be reached, or the connection was lost before an answer came.
    /// A publish may or may not have been accepted; a settlement may or may not have happened. Transient.
    Unavailable,
    /// No answer came within the stated time; as with [`ErrorKind::Unavailable`] the outcome is unknown. Transient.
    Timeout,
    /// The backend does not offer this; see [`Capabilities`](crate::Capabilities). Nothing was done.
    Unsupported,
    /// The publisher or consumer was closed; nothing was done.
    Closed,
    /// Any other refusal by the backend; `source()` has its words. Nothing is known beyond the message.
    Backend,
}

impl ErrorKind {
    /// Whether failures of this kind pass by themselves as a rule.
    const fn is_transient(self) -> bool {
        matches!(self, Self::Full | Self::Throttled | Self::Unavailable | Self::Timeout)
    }
}

/// A failed call.
///
/// `Display` reads `<operation>: <message>` and never repeats [`source`](StdError::source); print a whole chain by walking the sources.
/// Backends build it so that no credential ever enters the message.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct Error {
    kind: ErrorKind,
    transient: bool,
    operation: Cow<'static, str>,
    message: Cow<'static, str>,
    source: Option<Source>,
}

impl Error {
    /// An error of `kind` that happened during `operation`; it is transient when its kind is by nature.
    pub fn new(
        kind: ErrorKind,
        operation: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind,
            transient: kind.is_transient(),
            operation: operation.into(),
            message: message.into(),
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// States whether trying again may help, where it differs from the kind's nature.
    #[must_use]
    pub fn with_transient(mut self, transient: bool) -> Self {
        self.transient = transient;
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        self.transient
    }

    /// What was being done, such as `publish` or `XADD`.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// What went wrong, without the operation and without the source.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A call the backend does not offer.
    pub fn unsupported(operation: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unsupported, operation, "not supported by this backend")
    }

    /// A call on something that was closed.
    pub fn closed(operation: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Closed, operation, "already closed")
    }

    /// An event that breaks the rule of one field.
    pub(crate) fn invalid_field(operation: &'static str, field: &str, rule: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidEvent, operation, format!("{field}: {rule}"))
    }

    /// An event over a limit, for backends that check before sending.
    pub fn too_large(operation: impl Into<Cow<'static, str>>, bytes: usize, limit: usize) -> Self {
        Self::new(
            ErrorKind::TooLarge,
            operation,
            format!("the event takes {bytes} bytes, the limit is {limit}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_never_repeats_the_source() {
        let error = Error::new(ErrorKind::Backend, "XADD", "the server refused the command")
            .with_source(std::io::Error::other("secret detail"));
        assert_eq!(error.to_string(), "XADD: the server refused the command");
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("secret detail"));
    }

    #[test]
    fn the_kind_decides_whether_an_error_is_transient_unless_told_otherwise() {
        assert!(Error::new(ErrorKind::Full, "publish", "no room").is_transient());
        assert!(!Error::new(ErrorKind::TooLarge, "publish", "too big").is_transient());
        assert!(Error::new(ErrorKind::Backend, "publish", "odd").with_transient(true).is_transient());
    }
}
