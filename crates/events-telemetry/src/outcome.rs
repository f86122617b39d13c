//! What is counted by kind and by reason: words of a fixed set.

use events_core::ErrorKind;
use metrics::{counter, gauge};

use crate::metric::{DROPPED, SPOOLED};

/// The kind of an error as a label.
pub(crate) fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidConfig => "invalid-config",
        ErrorKind::InvalidEvent => "invalid-event",
        ErrorKind::TooLarge => "too-large",
        ErrorKind::NotFound => "not-found",
        ErrorKind::PermissionDenied => "permission-denied",
        ErrorKind::Full => "full",
        ErrorKind::Throttled => "throttled",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Closed => "closed",
        _ => "backend",
    }
}

/// Says how many events an event manager has dropped so far, for each reason, and how many it has spooled.
///
/// Called now and then with the manager's own counts: those are totals, so nothing is counted twice.
pub fn count_dropped(stream: &str, dropped: impl IntoIterator<Item = (&'static str, u64)>, spooled: u64) {
    for (reason, total) in dropped {
        counter!(DROPPED, "stream" => stream.to_owned(), "reason" => reason).absolute(total);
    }
    gauge!(SPOOLED, "stream" => stream.to_owned()).set(spooled as f64);
}
