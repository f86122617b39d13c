//! Order per key: of each key one event is under way, and the others wait behind it.

use std::collections::{HashMap, VecDeque};

use super::held::Slot;

#[derive(Debug, Default)]
pub(crate) struct Lanes {
    /// Each key that has an event under way, with those that wait.
    busy: HashMap<u64, VecDeque<Slot>>,
    waiting: usize,
}

impl Lanes {
    /// How many events wait for another.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Puts an event in its lane; `true` when nothing is before it.
    pub(crate) fn enter(&mut self, key: u64, slot: Slot) -> bool {
        match self.busy.get_mut(&key) {
            Some(lane) => {
                lane.push_back(slot);
                self.waiting += 1;
                false
            }
            None => {
                self.busy.insert(key, VecDeque::new());
                true
            }
        }
    }

    /// The event that was under way is done with; the one behind it is next.
    pub(crate) fn leave(&mut self, key: u64) -> Option<Slot> {
        let next = self.busy.get_mut(&key)?.pop_front();
        match next {
            Some(_) => self.waiting -= 1,
            None => drop(self.busy.remove(&key)),
        }
        next
    }

    /// Takes out all that wait, each key in its order.
    pub(crate) fn take_waiting(&mut self) -> Vec<Slot> {
        self.waiting = 0;
        self.busy.values_mut().flat_map(|lane| lane.drain(..)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_key_one_event_is_under_way() {
        let mut lanes = Lanes::default();
        assert!(lanes.enter(1, 10));
        assert!(!lanes.enter(1, 11));
        assert!(!lanes.enter(1, 12));
        assert!(lanes.enter(2, 20));
        assert_eq!(lanes.waiting(), 2);
        assert_eq!(
            [lanes.leave(1), lanes.leave(2), lanes.leave(1), lanes.leave(1)],
            [Some(11), None, Some(12), None]
        );
        assert!(lanes.enter(1, 13), "a lane that is empty is free again");
        assert_eq!(lanes.waiting(), 0);
    }
}
