//! Counts what an event manager does with the events it is handed.

use metrics::{Counter, Gauge, counter, gauge};

use crate::metric::{ACCEPTED, DROPPED, QUEUED, SPOOL_DEPTH, SPOOLED};

/// How an event manager stands: what its own statistics say.
#[derive(Clone, Copy, Debug, Default)]
pub struct ManagerState {
    /// Events it was handed so far.
    pub accepted: u64,
    /// Events in its memory now.
    pub queued: u64,
    /// Events it has put into its spool so far.
    pub spooled: u64,
    /// Events in its spool now.
    pub spool_depth: u64,
}

/// Counts what one event manager does, given now and then how it stands. What it publishes, its publisher counts.
///
/// The counts of several managers of one stream add up, since each says by how much its own have grown.
pub struct ManagerMeter {
    stream: String,
    accepted: Counter,
    spooled: Counter,
    queued: Gauge,
    spool_depth: Gauge,
    dropped: Vec<(&'static str, u64)>,
    last: ManagerState,
}

impl std::fmt::Debug for ManagerMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManagerMeter").field("last", &self.last).finish_non_exhaustive()
    }
}

impl ManagerMeter {
    /// Counts under the name of this stream. The recorder has to be installed before.
    pub fn new(stream: &str) -> Self {
        let label = || stream.to_owned();
        Self {
            stream: label(),
            accepted: counter!(ACCEPTED, "stream" => label()),
            spooled: counter!(SPOOLED, "stream" => label()),
            queued: gauge!(QUEUED, "stream" => label()),
            spool_depth: gauge!(SPOOL_DEPTH, "stream" => label()),
            dropped: Vec::new(),
            last: ManagerState::default(),
        }
    }

    /// The manager stands so now, and has dropped so many events so far for each reason, a word of a fixed set.
    pub fn saw(&mut self, now: ManagerState, dropped: impl IntoIterator<Item = (&'static str, u64)>) {
        let last = std::mem::replace(&mut self.last, now);
        self.accepted.increment(now.accepted.saturating_sub(last.accepted));
        self.spooled.increment(now.spooled.saturating_sub(last.spooled));
        self.queued.increment(now.queued as f64 - last.queued as f64);
        self.spool_depth.increment(now.spool_depth as f64 - last.spool_depth as f64);
        for (reason, total) in dropped {
            let before = match self.dropped.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, before)) => std::mem::replace(before, total),
                None => {
                    self.dropped.push((reason, total));
                    0
                }
            };
            // From the first look on, so that a reason nothing was dropped for yet reads as zero.
            counter!(DROPPED, "stream" => self.stream.clone(), "reason" => reason)
                .increment(total.saturating_sub(before));
        }
    }
}

impl Drop for ManagerMeter {
    fn drop(&mut self) {
        // Its manager has ended, so nothing of it is in memory any more, and what it left in a spool is the next one's.
        self.saw(ManagerState { queued: 0, spool_depth: 0, ..self.last }, []);
    }
}
