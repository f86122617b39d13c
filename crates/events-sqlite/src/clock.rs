//! Time as it is stored: whole microseconds since 1970, by the system's clock.
//!
//! Several processes must agree on when a lease ends, so it cannot be a monotonic clock, which has no meaning outside
//! its process or after a restart.
//! A step of the system's clock shortens or lengthens the leases that run at that moment by as much.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// The moment no lease reaches: nothing is due.
pub(crate) const NEVER: i64 = i64::MAX;

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, micros)
}

/// The duration in microseconds, or the longest there is.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) fn from_micros(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The first whole microsecond that is not before `time`.
pub(crate) fn to_micros(time: OffsetDateTime) -> i64 {
    let nanos = time.unix_timestamp_nanos();
    let micros = nanos.div_euclid(1_000) + i128::from(nanos.rem_euclid(1_000) != 0);
    i64::try_from(micros).unwrap_or(NEVER)
}
