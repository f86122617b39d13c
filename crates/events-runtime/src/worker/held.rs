//! The deliveries a worker holds. Handlers run on copies of the event; the duty to settle never leaves this place.

use std::time::Duration;

use events_core::Delivery;
use tokio::time::Instant;

/// Where a delivery is held.
pub(crate) type Slot = usize;

/// One delivery, and what became of it so far.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) delivery: Delivery,
    /// Attempts that failed while it was held.
    pub(crate) failures: u32,
    /// The key whose order it is part of, hashed.
    pub(crate) key: Option<u64>,
    /// When its lease was last known to begin anew.
    leased_at: Instant,
}

impl Entry {
    /// The number of the attempt that is next or under way.
    pub(crate) fn attempt(&self) -> u32 {
        self.delivery.attempt().saturating_add(self.failures)
    }

    pub(crate) fn lease_end(&self, lease: Duration) -> Instant {
        self.leased_at + lease
    }
}

#[derive(Debug, Default)]
pub(crate) struct Held {
    slots: Vec<Option<Entry>>,
    free: Vec<Slot>,
}

impl Held {
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, delivery: Delivery, key: Option<u64>, now: Instant) -> Slot {
        let entry = Some(Entry { delivery, failures: 0, key, leased_at: now });
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = entry;
                slot
            }
            None => {
                self.slots.push(entry);
                self.slots.len() - 1
            }
        }
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Entry> {
        self.slots.get(slot)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.slots.get_mut(slot)?.as_mut()
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Entry> {
        let entry = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        Some(entry)
    }

    /// Removes everything.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Entry> {
        self.free.clear();
        std::mem::take(&mut self.slots).into_iter().flatten()
    }

    /// The deliveries whose lease is `age` old or older; they count as extended from now on.
    pub(crate) fn renew(&mut self, age: Duration, now: Instant) -> impl Iterator<Item = &Delivery> {
        self.slots.iter_mut().flatten().filter(move |entry| now - entry.leased_at >= age).map(move |entry| {
            entry.leased_at = now;
            &entry.delivery
        })
    }
}
