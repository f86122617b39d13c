//! What one consumer holds: messages on the shelf, not handed over yet, and messages in its caller's hands.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use events_core::{Event, MessageId, Receipt};
use tokio::time::Instant;

use crate::incoming::Incoming;
use crate::limits;

/// A message that is hidden from everybody else.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) message: Incoming,
    pub(crate) origin_id: MessageId,
    /// When this delivery began; twelve hours later it ends, whatever is done.
    pub(crate) received_at: Instant,
    pub(crate) hidden_until: Instant,
}

impl Held {
    /// `lease` from now, or as much of it as is left of the twelve hours.
    pub(crate) fn allowed(&self, lease: Duration, now: Instant) -> Duration {
        let end = self.received_at + limits::VISIBILITY;
        lease.min(end.saturating_duration_since(now))
    }

    pub(crate) fn is_hidden(&self, now: Instant) -> bool {
        now < self.hidden_until
    }
}

/// A message on the shelf, with its event.
#[derive(Debug)]
pub(crate) struct Shelved {
    pub(crate) event: Event,
    pub(crate) held: Held,
}

/// What one consumer holds.
///
/// Of a FIFO group one message at a time is in hand; those behind it wait on the shelf until it is settled.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    shelf: VecDeque<Shelved>,
    /// By receipt handle.
    in_hand: HashMap<Box<str>, Held>,
    busy_groups: HashSet<String>,
    /// Messages behind one that failed, to be given back.
    returns: Vec<Held>,
}

impl Holdings {
    /// Puts messages on the shelf. One that is there already, since a standard queue may give a message to two calls at
    /// once, is there once, with the handle of its last delivery.
    pub(crate) fn shelve(&mut self, messages: impl IntoIterator<Item = Shelved>) {
        for message in messages {
            let id = &message.held.message.message_id;
            match self.shelf.iter_mut().find(|shelved| shelved.held.message.message_id == *id) {
                Some(there) => *there = message,
                None => self.shelf.push_back(message),
            }
        }
    }

    pub(crate) fn shelved(&self) -> usize {
        self.shelf.len()
    }

    /// Handles of the next messages to be handed over whose lease has run for a while.
    pub(crate) fn stale(&self, max: usize, fresh_until: Instant) -> Vec<String> {
        let next = self.shelf.iter().filter(|shelved| !self.waits(&shelved.held)).take(max);
        let stale = next.filter(|shelved| shelved.held.hidden_until < fresh_until);
        stale.map(|shelved| shelved.held.message.handle.clone()).collect()
    }

    /// Hands over up to `max` messages. Those whose lease has ended are somebody else's and are forgotten.
    pub(crate) fn take(&mut self, max: usize, now: Instant) -> Vec<(Event, Receipt)> {
        let mut taken = Vec::new();
        let mut rest = VecDeque::with_capacity(self.shelf.len());
        while let Some(shelved) = self.shelf.pop_front() {
            if taken.len() == max {
                rest.push_back(shelved);
                break;
            }
            let Shelved { event, held } = shelved;
            if !held.is_hidden(now) {
                continue;
            }
            if self.waits(&held) {
                rest.push_back(Shelved { event, held });
                continue;
            }
            self.busy_groups.extend(held.message.group.clone());
            let handle: Box<str> = held.message.handle.as_str().into();
            let attempt = held.message.receive_count;
            let receipt =
                Receipt { message_id: held.origin_id.clone(), attempt, handle: Some(handle.clone()) };
            self.in_hand.insert(handle, held);
            taken.push((event, receipt));
        }
        rest.append(&mut self.shelf);
        self.shelf = rest;
        taken
    }

    fn waits(&self, held: &Held) -> bool {
        held.message.group.as_ref().is_some_and(|group| self.busy_groups.contains(group))
    }

    /// The message in hand that a receipt names, while its lease lasts.
    pub(crate) fn in_hand(&self, receipt: &Receipt, now: Instant) -> Option<&Held> {
        self.in_hand.get(receipt.handle.as_deref()?).filter(|held| held.is_hidden(now))
    }

    /// A message is settled for good: the next of its group may go.
    pub(crate) fn done(&mut self, receipt: &Receipt) {
        self.let_go(receipt);
    }

    /// A message failed or was dropped: those behind it in its group must not overtake it and are to be given back.
    pub(crate) fn failed(&mut self, receipt: &Receipt) {
        if let Some(group) = self.let_go(receipt) {
            self.return_group(&group);
        }
    }

    fn let_go(&mut self, receipt: &Receipt) -> Option<String> {
        let held = self.in_hand.remove(receipt.handle.as_deref()?)?;
        let group = held.message.group?;
        self.busy_groups.remove(&group);
        Some(group)
    }

    fn return_group(&mut self, group: &str) {
        let shelf = std::mem::take(&mut self.shelf);
        for shelved in shelf {
            if shelved.held.message.group.as_deref() == Some(group) {
                self.returns.push(shelved.held);
            } else {
                self.shelf.push_back(shelved);
            }
        }
    }

    /// Groups whose message in hand has lost its lease: what is behind it must not keep it from being delivered again.
    pub(crate) fn give_up_expired_groups(&mut self, now: Instant) {
        let expired = self.in_hand.extract_if(|_, held| !held.is_hidden(now) && held.message.group.is_some());
        let groups: Vec<String> = expired.filter_map(|(_, held)| held.message.group).collect();
        for group in groups {
            self.busy_groups.remove(&group);
            self.return_group(&group);
        }
    }

    /// What is to be given back, each only once.
    pub(crate) fn take_returns(&mut self) -> Vec<Held> {
        std::mem::take(&mut self.returns)
    }

    /// Empties the shelf: everything on it is to be given back.
    pub(crate) fn clear_shelf(&mut self) -> Vec<Held> {
        let mut all = self.take_returns();
        all.extend(self.shelf.drain(..).map(|shelved| shelved.held));
        all
    }

    /// Messages on the shelf whose lease ends before `before`, with the time that would bring each to `lease`.
    pub(crate) fn fading(&self, before: Instant, lease: Duration, now: Instant) -> Vec<(String, Duration)> {
        let fading = self.shelf.iter().map(|shelved| &shelved.held).filter(|held| held.hidden_until < before);
        let timed = fading.map(|held| (held.message.handle.clone(), held.allowed(lease, now)));
        // At the end of the twelve hours nothing can be added, and the message is left to come back.
        timed.filter(|(_, time)| *time >= Duration::from_secs(1)).collect()
    }

    /// A lease was extended.
    pub(crate) fn extended(&mut self, handle: &str, until: Instant) {
        let shelved = self.shelf.iter_mut().map(|shelved| &mut shelved.held);
        let on_shelf = shelved.into_iter().find(|held| held.message.handle == handle);
        if let Some(held) = on_shelf.or_else(|| self.in_hand.get_mut(handle)) {
            held.hidden_until = until;
        }
    }

    /// A message on the shelf turned out to be somebody else's.
    pub(crate) fn lost(&mut self, handle: &str) {
        self.shelf.retain(|shelved| shelved.held.message.handle != handle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(60);

    fn shelved(n: usize, group: Option<&str>, received_at: Instant) -> Shelved {
        let message = Incoming {
            message_id: format!("m{n}"),
            handle: format!("h{n}"),
            body: String::new(),
            attributes: Vec::new(),
            receive_count: 1,
            sent_at: None,
            first_received_at: None,
            received_at: time::OffsetDateTime::UNIX_EPOCH,
            group: group.map(str::to_owned),
            source_arn: None,
        };
        let event = Event::builder("a.b", "s").build().unwrap();
        let held = Held { message, origin_id: "o".into(), received_at, hidden_until: received_at + LEASE };
        Shelved { event, held }
    }

    fn handles(held: &[Held]) -> Vec<&str> {
        held.iter().map(|held| &*held.message.handle).collect()
    }

    #[test]
    fn what_is_shelved_is_extended_from_half_its_lease_on_and_twelve_hours_at_most() {
        let start = Instant::now();
        let mut holdings = Holdings::default();
        holdings.shelve([shelved(1, None, start)]);
        let fading = |holdings: &Holdings, now: Instant| holdings.fading(now + LEASE / 2, LEASE, now);
        assert_eq!(fading(&holdings, start + LEASE / 2), []);
        let later = start + LEASE * 3 / 4;
        assert_eq!(fading(&holdings, later), [("h1".to_owned(), LEASE)]);
        // Twelve hours after it was received the message comes again, whatever is done: only what is left is asked for.
        let nearly = start + limits::VISIBILITY - Duration::from_secs(20);
        assert_eq!(fading(&holdings, nearly), [("h1".to_owned(), Duration::from_secs(20))]);
        assert_eq!(fading(&holdings, start + limits::VISIBILITY), []);
    }

    #[test]
    fn a_group_waits_for_its_message_in_hand_and_goes_back_with_it() {
        let now = Instant::now();
        let mut holdings = Holdings::default();
        holdings.shelve([1, 2].map(|n| shelved(n, Some("a"), now)));
        holdings.shelve([shelved(3, Some("b"), now)]);
        let taken = holdings.take(10, now);
        let of_group: Vec<_> = taken.iter().map(|(_, receipt)| receipt.handle.as_deref().unwrap()).collect();
        assert_eq!(of_group, ["h1", "h3"]);
        holdings.done(&taken[1].1);
        assert!(holdings.take(10, now).is_empty(), "its group is busy");
        holdings.failed(&taken[0].1);
        assert_eq!(handles(&holdings.take_returns()), ["h2"]);
    }

    #[test]
    fn a_group_whose_message_in_hand_lost_its_lease_is_given_up() {
        let start = Instant::now();
        let mut holdings = Holdings::default();
        holdings.shelve([shelved(1, Some("a"), start), shelved(2, Some("a"), start + LEASE)]);
        assert_eq!(holdings.take(10, start).len(), 1);
        holdings.give_up_expired_groups(start + LEASE);
        assert_eq!(handles(&holdings.take_returns()), ["h2"]);
    }

    #[test]
    fn a_message_that_came_twice_is_on_the_shelf_once_and_gone_when_its_lease_ends() {
        let now = Instant::now();
        let mut holdings = Holdings::default();
        holdings.shelve([shelved(1, None, now), shelved(1, None, now), shelved(2, None, now)]);
        holdings.lost("h2");
        assert_eq!(holdings.shelved(), 1);
        assert!(holdings.take(10, now + LEASE).is_empty());
    }
}
