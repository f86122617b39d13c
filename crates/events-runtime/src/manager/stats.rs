//! What became of the events so far.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why an event was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The queue was full, because the broker was away or too slow.
    QueueFull,
    /// The queue was full, and so was the spool, or it could not be written.
    SpoolFull,
    /// The broker refused the event for good: it is too large, invalid, or not permitted.
    Refused,
    /// The manager was closed before the event could be sent.
    Closed,
}

impl DropReason {
    pub(crate) const ALL: [Self; 4] = [Self::QueueFull, Self::SpoolFull, Self::Refused, Self::Closed];

    /// The reason as metrics and logs name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::SpoolFull => "spool-full",
            Self::Refused => "refused",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of the events so far.
///
/// Every event is in one place: `accepted + recovered == published + dropped_total() + spooled + waiting`, exactly once
/// nothing is being published any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManagerStats {
    /// Events handed to [`publish`](crate::EventManager::publish).
    pub accepted: u64,
    /// Events found in the spool at the start, left there by a process before.
    pub recovered: u64,
    /// Events the broker has accepted.
    pub published: u64,
    /// Events that lie in the spool now; the next process publishes what this one does not.
    pub spooled: u64,
    /// Events put into the spool so far, whether or not they lie there still.
    pub ever_spooled: u64,
    /// Events in memory that are neither published nor spooled nor dropped.
    pub waiting: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl ManagerStats {
    /// Events dropped for one reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Events dropped for each reason there is.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL.into_iter().zip(self.dropped)
    }

    /// Events dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }
}

/// Counts as it goes; read from any thread.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) accepted: AtomicU64,
    pub(crate) recovered: AtomicU64,
    pub(crate) published: AtomicU64,
    pub(crate) spooled: AtomicU64,
    pub(crate) ever_spooled: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
}

impl Counters {
    /// Counts one dropped event and returns how many of this reason there are now.
    pub(crate) fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn stats(&self) -> ManagerStats {
        let dropped = std::array::from_fn(|at| self.dropped[at].load(Ordering::Relaxed));
        let mut stats = ManagerStats {
            published: self.published.load(Ordering::Relaxed),
            spooled: self.spooled.load(Ordering::Relaxed),
            ever_spooled: self.ever_spooled.load(Ordering::Relaxed),
            recovered: self.recovered.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            waiting: 0,
            dropped,
        };
        let settled = stats.published + stats.spooled + stats.dropped_total();
        stats.waiting = (stats.accepted + stats.recovered).saturating_sub(settled);
        stats
    }
}
