//! What the handles of a manager share with its sending thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use events_core::{Event, Headers};
use tokio::sync::watch;
use tokio::time::Instant;

use super::config::Overflow;
use super::context::ContextSource;
use super::drop_log::DropLog;
use super::observer::Observer;
use super::queue::{Queue, Queued};
use super::stats::{Counters, DropReason};
use crate::header_scope;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) counters: Counters,
    overflow: Overflow,
    source: Option<Arc<dyn ContextSource>>,
    drop_log: DropLog,
    pub(crate) observer: Observer,
    /// The spool takes no more; it tells why a full queue drops.
    pub(crate) spool_full: AtomicBool,
    /// Up to which mark of the queue every event is out of memory.
    pub(crate) settled: watch::Sender<u64>,
    /// New events are refused, because somebody has said when the sending thread ends.
    closing: AtomicBool,
    /// When that is.
    pub(crate) close_at: watch::Sender<Option<Instant>>,
    /// Nobody takes from the queue any more.
    finished: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        queue: Queue,
        overflow: Overflow,
        source: Option<Arc<dyn ContextSource>>,
        observer: Observer,
    ) -> Self {
        Self {
            queue,
            counters: Counters::default(),
            overflow,
            source,
            drop_log: DropLog::new(),
            observer,
            spool_full: AtomicBool::new(false),
            settled: watch::Sender::new(0),
            closing: AtomicBool::new(false),
            close_at: watch::Sender::new(None),
            finished: AtomicBool::new(false),
        }
    }

    /// Takes an event from business code; the one path of this crate where every nanosecond counts.
    pub(crate) fn publish(&self, event: Event) {
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        if self.closing.load(Ordering::Relaxed) {
            self.dropped(&event, DropReason::Closed);
            if self.finished.load(Ordering::SeqCst) {
                // There is no thread any more that would tell.
                self.observer.try_tell(&self.counters.stats());
            }
            return;
        }
        let queued = Queued { event, scope: header_scope::current(), context: self.context() };
        match self.overflow {
            Overflow::DropOldest => {
                if let Some(oldest) = self.queue.force_push(queued) {
                    self.dropped(&oldest.event, DropReason::QueueFull);
                }
            }
            Overflow::DropNew | Overflow::Spool => {
                if let Some(refused) = self.queue.push(queued) {
                    let reason = match self.spool_full.load(Ordering::Relaxed) {
                        true => DropReason::SpoolFull,
                        false => DropReason::QueueFull,
                    };
                    self.dropped(&refused.event, reason);
                }
            }
        }
        // The thread may have ended between the look at the start and the push; then nobody else counts the event.
        if self.finished.load(Ordering::SeqCst) {
            self.discard();
        }
    }

    /// The headers of the publishing thread. Whatever somebody else's code does, publishing does not panic.
    fn context(&self) -> Headers {
        let Some(source) = &self.source else { return Headers::new() };
        let asked = catch_unwind(AssertUnwindSafe(|| {
            let mut headers = Headers::new();
            source.add_headers(&mut headers);
            headers
        }));
        asked.unwrap_or_default()
    }

    /// Counts and logs one event that goes nowhere.
    pub(crate) fn dropped(&self, event: &Event, reason: DropReason) {
        let total = self.counters.dropped(reason);
        self.drop_log.dropped(event, reason, total);
    }

    /// Takes no more events, and has the thread end at `deadline`, or sooner if somebody asked for that before.
    pub(crate) fn close(&self, deadline: Instant) {
        self.closing.store(true, Ordering::Relaxed);
        self.close_at
            .send_modify(|close_at| *close_at = Some(close_at.map_or(deadline, |at| at.min(deadline))));
        self.queue.nudge();
    }

    /// Nobody takes from the queue any more: what is in it, and what may still come, is dropped.
    pub(crate) fn finish(&self) {
        self.close(Instant::now());
        self.finished.store(true, Ordering::SeqCst);
        self.discard();
        self.observer.tell(&self.counters.stats());
        // Whoever waits for the queue waits for nothing any more.
        self.settled.send_replace(u64::MAX);
    }

    fn discard(&self) {
        while let Some(left) = self.queue.pop() {
            self.dropped(&left.event, DropReason::Closed);
        }
    }
}
