//! What SQLite's refusals mean to the caller.

use std::borrow::Cow;
use std::sync::Arc;

use events_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// Why work on the database failed.
///
/// One failed commit is the failure of every call that shared it, so a failure can be copied; the error of a call is made from it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Arc<rusqlite::Error>>,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The thread that owned the connection is gone, which only a panic in it explains.
    pub(crate) fn thread_ended() -> Self {
        Self::new(ErrorKind::Backend, "the thread that serves the database has ended")
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether other writers kept the database for themselves.
    pub(crate) fn is_busy(&self) -> bool {
        self.source.as_deref().is_some_and(|error| error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
    }

    /// The error of the call that wanted `operation`.
    pub(crate) fn to_error(&self, operation: &'static str) -> Error {
        let error = Error::new(self.kind, operation, self.message.clone());
        match &self.source {
            Some(source) => error.with_source(Arc::clone(source)),
            None => error,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let (kind, message) = classify(&error);
        Self { kind, message: Cow::Borrowed(message), source: Some(Arc::new(error)) }
    }
}

/// What the caller can do about an error of SQLite, and what happened in words.
fn classify(error: &rusqlite::Error) -> (ErrorKind, &'static str) {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (ErrorKind::Full, "the disk is full"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Timeout, "other writers kept the database busy for longer than `busy_timeout`")
        }
        Some(ErrorCode::ReadOnly) => {
            (ErrorKind::PermissionDenied, "the database file or its directory cannot be written")
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            (ErrorKind::PermissionDenied, "access to the database is denied")
        }
        // That the place exists was checked before, so what is left is a missing right.
        Some(ErrorCode::CannotOpen) => {
            (ErrorKind::PermissionDenied, "the database file cannot be opened or created where it should be")
        }
        Some(ErrorCode::NotADatabase) => (ErrorKind::InvalidConfig, "the file is no SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => (ErrorKind::Backend, "the database file is damaged"),
        Some(ErrorCode::SystemIoFailure) => {
            (ErrorKind::Unavailable, "reading or writing the database file failed")
        }
        Some(ErrorCode::TooBig) => (ErrorKind::TooLarge, "the event is larger than SQLite can store"),
        _ => (ErrorKind::Backend, "SQLite refused the statement"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn every_code_says_what_the_caller_can_do() {
        for (code, kind) in [
            (ffi::SQLITE_FULL, ErrorKind::Full),
            (ffi::SQLITE_BUSY, ErrorKind::Timeout),
            (ffi::SQLITE_BUSY_RECOVERY, ErrorKind::Timeout),
            (ffi::SQLITE_LOCKED, ErrorKind::Timeout),
            (ffi::SQLITE_READONLY, ErrorKind::PermissionDenied),
            (ffi::SQLITE_READONLY_DIRECTORY, ErrorKind::PermissionDenied),
            (ffi::SQLITE_PERM, ErrorKind::PermissionDenied),
            (ffi::SQLITE_AUTH, ErrorKind::PermissionDenied),
            (ffi::SQLITE_CANTOPEN, ErrorKind::PermissionDenied),
            (ffi::SQLITE_NOTADB, ErrorKind::InvalidConfig),
            (ffi::SQLITE_CORRUPT, ErrorKind::Backend),
            (ffi::SQLITE_CORRUPT_INDEX, ErrorKind::Backend),
            (ffi::SQLITE_IOERR, ErrorKind::Unavailable),
            (ffi::SQLITE_IOERR_FSYNC, ErrorKind::Unavailable),
            (ffi::SQLITE_TOOBIG, ErrorKind::TooLarge),
            (ffi::SQLITE_CONSTRAINT, ErrorKind::Backend),
            (ffi::SQLITE_ERROR, ErrorKind::Backend),
            (ffi::SQLITE_NOMEM, ErrorKind::Backend),
        ] {
            let failure = Failure::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            assert_eq!(failure.kind(), kind, "code {code}");
            assert_eq!(failure.to_error("test").kind(), kind, "code {code}");
        }
    }

    #[test]
    fn the_error_of_a_call_carries_sqlites_own_words_as_its_source() {
        let sqlite = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        let words = sqlite.to_string();
        let error = Failure::from(sqlite).to_error("publish");
        assert_eq!(std::error::Error::source(&error).map(ToString::to_string), Some(words));
        assert!(error.is_transient());
    }
}
