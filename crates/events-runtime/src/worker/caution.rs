//! Keeps an event that kills its process from taking others with it.

use std::collections::{HashSet, VecDeque};

use events_core::{Delivery, MessageId};

use super::config::WorkerConfig;

/// How many of the events this worker failed itself it remembers.
const REMEMBERED: usize = 10_000;

/// How much a worker may hold, and which events it handles alone.
///
/// A process that dies costs an attempt each event it holds. So a worker begins by holding one event, and holds more, up
/// to its limit, only as long as nothing looks as if it had killed a process before.
#[derive(Debug)]
pub(crate) struct Caution {
    window: usize,
    most: usize,
    failed_here: HashSet<MessageId>,
    oldest_first: VecDeque<MessageId>,
}

impl Caution {
    pub(crate) fn new(config: &WorkerConfig) -> Self {
        let most = config.most_held();
        let window = if config.alone_from == 0 { most } else { 1 };
        Self { window, most, failed_here: HashSet::new(), oldest_first: VecDeque::new() }
    }

    /// How many events may be held now.
    pub(crate) fn window(&self) -> usize {
        self.window
    }

    /// A delivery had nothing suspicious about it.
    pub(crate) fn relax(&mut self) {
        self.window = self.window.saturating_mul(2).min(self.most);
    }

    /// Back to one at a time.
    pub(crate) fn tense(&mut self) {
        self.window = 1;
    }

    /// This worker gives the event back because its handler failed: when it comes again, no process has died of it.
    pub(crate) fn failed_here(&mut self, id: &MessageId) {
        if self.failed_here.insert(id.clone()) {
            self.oldest_first.push_back(id.clone());
        }
        while self.oldest_first.len() > REMEMBERED {
            if let Some(oldest) = self.oldest_first.pop_front() {
                self.failed_here.remove(&oldest);
            }
        }
    }

    /// Whether a process may have died of this event.
    pub(crate) fn suspects(&self, delivery: &Delivery, config: &WorkerConfig) -> bool {
        config.is_suspect(delivery.attempt()) && !self.failed_here.contains(delivery.message_id())
    }
}
