//! The dead letters of one stream.

use std::collections::BTreeMap;

use events_core::{DeadLetter, MessageId};

use crate::log::{message_id, position};

#[derive(Debug)]
pub(crate) struct DeadLetters {
    letters: BTreeMap<u64, DeadLetter>,
    next: u64,
}

impl DeadLetters {
    pub(crate) fn new() -> Self {
        Self { letters: BTreeMap::new(), next: 1 }
    }

    /// Keeps a letter, which is told the id it is kept under.
    pub(crate) fn keep(&mut self, letter: impl FnOnce(MessageId) -> DeadLetter) {
        self.letters.insert(self.next, letter(message_id(self.next)));
        self.next += 1;
    }

    pub(crate) fn get(&self, id: &MessageId) -> Option<&DeadLetter> {
        self.letters.get(&position(id)?)
    }

    pub(crate) fn remove(&mut self, id: &MessageId) -> Option<DeadLetter> {
        self.letters.remove(&position(id)?)
    }

    /// Up to `max` letters after the one named `after`, oldest first.
    pub(crate) fn list(&self, after: u64, max: usize) -> Vec<DeadLetter> {
        self.letters.range(after.saturating_add(1)..).take(max).map(|(_, letter)| letter.clone()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(crate) fn clear(&mut self) {
        self.letters.clear();
    }
}
