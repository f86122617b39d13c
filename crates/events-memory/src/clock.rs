//! What time it is: the system's, or what a test says.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::sync::watch;

/// Time since a clock was made. Leases and delays are measured in it, so that they do not care when the wall clock is set.
pub(crate) type Moment = Duration;

/// Tells a broker the time: when leases and delays end, and when an event was published.
///
/// How long [`receive`](events_core::EventConsumer::receive) waits is real time on every clock.
#[derive(Clone)]
pub struct Clock(Inner);

#[derive(Clone)]
enum Inner {
    System { started: Instant },
    Manual(ManualClock),
}

impl Clock {
    /// The clock of the system.
    pub fn system() -> Self {
        Self(Inner::System { started: Instant::now() })
    }

    pub(crate) fn now(&self) -> Moment {
        match &self.0 {
            Inner::System { started } => started.elapsed(),
            Inner::Manual(clock) => *clock.passed.borrow(),
        }
    }

    /// The date and time, in whole microseconds, the precision of the wire.
    pub(crate) fn date(&self) -> OffsetDateTime {
        let date = match &self.0 {
            Inner::System { .. } => OffsetDateTime::now_utc(),
            Inner::Manual(clock) => clock.date(),
        };
        date.replace_microsecond(date.microsecond()).unwrap_or(date)
    }

    /// Notices from now on when the clock reaches a moment.
    pub(crate) fn alarm(&self) -> Alarm {
        Alarm(match &self.0 {
            Inner::System { started } => AlarmInner::System { started: *started },
            Inner::Manual(clock) => AlarmInner::Manual(clock.passed.subscribe()),
        })
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl From<&ManualClock> for Clock {
    fn from(clock: &ManualClock) -> Self {
        Self(Inner::Manual(clock.clone()))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::System { .. } => f.write_str("Clock::System"),
            Inner::Manual(clock) => clock.fmt(f),
        }
    }
}

/// A clock that stands still until it is moved; clones are the same clock.
///
/// Moving it wakes consumers that wait for a lease or a delay to end.
#[derive(Clone, Debug)]
pub struct ManualClock {
    start: OffsetDateTime,
    passed: Arc<watch::Sender<Duration>>,
}

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: OffsetDateTime) -> Self {
        Self { start, passed: Arc::new(watch::Sender::new(Duration::ZERO)) }
    }

    /// Lets `time` pass at once.
    pub fn advance(&self, time: Duration) {
        self.passed.send_modify(|passed| *passed = passed.saturating_add(time));
    }

    /// What the clock says.
    pub fn date(&self) -> OffsetDateTime {
        let passed = time::Duration::try_from(*self.passed.borrow()).unwrap_or(time::Duration::MAX);
        self.start.saturating_add(passed)
    }
}

/// Waits for a clock, without missing what happens between its making and its waiting.
pub(crate) struct Alarm(AlarmInner);

enum AlarmInner {
    System { started: Instant },
    Manual(watch::Receiver<Duration>),
}

impl Alarm {
    /// Waits until the clock may have reached `moment`; for ever when there is none.
    pub(crate) async fn reached(self, moment: Option<Moment>) {
        match (self.0, moment) {
            (AlarmInner::System { started }, Some(moment)) => match started.checked_add(moment) {
                Some(instant) => tokio::time::sleep_until(instant.into()).await,
                None => std::future::pending().await,
            },
            (AlarmInner::Manual(mut passed), Some(moment)) => {
                if passed.wait_for(|passed| *passed >= moment).await.is_err() {
                    // The clock is gone and will not move again.
                    std::future::pending::<()>().await;
                }
            }
            (_, None) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[tokio::test]
    async fn a_manual_clock_wakes_who_waits_for_it() {
        let manual = ManualClock::new(datetime!(2026-02-10 12:00 UTC));
        let clock = Clock::from(&manual);
        let alarm = clock.alarm();
        manual.advance(Duration::from_secs(2));
        alarm.reached(Some(Duration::from_secs(2))).await;
        assert_eq!(clock.date(), datetime!(2026-02-10 12:00:02 UTC));
        assert_eq!(clock.now(), Duration::from_secs(2));
    }

    #[tokio::test]
    async fn the_system_clock_reaches_a_moment_that_has_passed() {
        let clock = Clock::system();
        clock.alarm().reached(Some(Duration::ZERO)).await;
    }
}
