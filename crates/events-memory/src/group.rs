//! How far one consumer group is, and what it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use events_core::{ConsumerStatus, GroupStatus, PendingEvent};
use time::OffsetDateTime;

use crate::clock::Moment;
use crate::log::{Entry, Log, Position, Start, message_id};

/// Names one delivery among all of a stream, so that a former holder is never taken for the present one.
pub(crate) type Token = u64;

/// An event the group was given and has not finished.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Deliveries so far, without those that were released.
    pub(crate) attempts: u32,
    /// When it may be delivered again: the end of its lease or of its delay.
    due: Moment,
    delivered_at: Moment,
    /// The dates of its first and its last delivery, once there was one.
    pub(crate) dates: Option<(OffsetDateTime, OffsetDateTime)>,
    /// Who holds it, or held it last.
    pub(crate) consumer: Arc<str>,
    /// The holder's delivery; `None` when it was given back.
    holder: Option<Token>,
    pub(crate) last_error: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Group {
    /// The first event never delivered.
    next: Start,
    pending: BTreeMap<Position, Pending>,
    /// The same events by the moment they are due.
    due: BTreeSet<(Moment, Position)>,
}

impl Group {
    pub(crate) fn new(start: Start) -> Self {
        Self { next: start, pending: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// The oldest position the group is not done with.
    pub(crate) fn unfinished(&self) -> Start {
        match self.pending.first_key_value() {
            Some((position, _)) if *position < self.next.position => {
                Start { position: *position, ..self.next }
            }
            _ => self.next,
        }
    }

    /// Whether the group has yet to finish an event.
    pub(crate) fn needs(&self, position: Position, entry: &Entry) -> bool {
        self.pending.contains_key(&position) || self.next.admits(position, entry)
    }

    /// Whether the group could be given an event now.
    pub(crate) fn is_due(&self, position: Position, entry: &Entry, now: Moment) -> bool {
        match self.pending.get(&position) {
            Some(pending) => pending.due <= now,
            None => self.next.admits(position, entry),
        }
    }

    /// The event that has been due for longest, among those delivered before.
    pub(crate) fn first_due(&self, now: Moment) -> Option<Position> {
        self.due.first().filter(|(due, _)| *due <= now).map(|(_, position)| *position)
    }

    /// When the next event becomes due without anybody doing anything.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The first event never delivered; counts it as passed.
    pub(crate) fn take_new(&mut self, log: &Log) -> Option<(Position, Arc<Entry>)> {
        let admitted = |(position, entry): &(Position, &Arc<Entry>)| self.next.admits(*position, entry);
        let (position, entry) = log.from(self.next.position).find(admitted)?;
        self.next = Start::at(position + 1);
        Some((position, Arc::clone(entry)))
    }

    pub(crate) fn get(&self, position: Position) -> Option<&Pending> {
        self.pending.get(&position)
    }

    /// The event, if the delivery named by `token` still holds it.
    pub(crate) fn held(&self, position: Position, token: Token) -> Option<&Pending> {
        self.pending.get(&position).filter(|pending| pending.holder == Some(token))
    }

    /// Gives an event to a consumer and returns the number of the attempt.
    pub(crate) fn lend(
        &mut self,
        position: Position,
        consumer: &Arc<str>,
        token: Token,
        (now, date): (Moment, OffsetDateTime),
        lease: Duration,
    ) -> u32 {
        let before = self.remove(position);
        let attempts = before.as_ref().map_or(0, |pending| pending.attempts).saturating_add(1);
        let first = before.as_ref().and_then(|pending| pending.dates).map_or(date, |(first, _)| first);
        let pending = Pending {
            attempts,
            due: now.saturating_add(lease),
            delivered_at: now,
            dates: Some((first, date)),
            consumer: Arc::clone(consumer),
            holder: Some(token),
            last_error: before.and_then(|pending| pending.last_error),
        };
        self.insert(position, pending);
        attempts
    }

    /// Lets a lease end at `due`.
    pub(crate) fn extend(&mut self, position: Position, due: Moment) {
        if let Some(mut pending) = self.remove(position) {
            pending.due = due;
            self.insert(position, pending);
        }
    }

    /// Takes an event back from its holder; it is due again at `due`.
    pub(crate) fn give_back(&mut self, position: Position, due: Moment, error: Option<String>) {
        if let Some(mut pending) = self.remove(position) {
            pending.due = due;
            pending.holder = None;
            pending.last_error = error.or(pending.last_error);
            self.insert(position, pending);
        }
    }

    /// Takes an event back as if it had not been delivered.
    pub(crate) fn release(&mut self, position: Position, now: Moment) {
        if let Some(mut pending) = self.remove(position) {
            pending.due = now;
            pending.holder = None;
            pending.attempts = pending.attempts.saturating_sub(1);
            pending.dates = pending.dates.filter(|_| pending.attempts > 0);
            self.insert(position, pending);
        }
    }

    /// Puts an event in the group's way again, with attempts from 1.
    pub(crate) fn redeliver(&mut self, position: Position, now: Moment) {
        self.remove(position);
        let pending = Pending {
            attempts: 0,
            due: now,
            delivered_at: now,
            dates: None,
            consumer: Arc::from(""),
            holder: None,
            last_error: None,
        };
        self.insert(position, pending);
    }

    /// The group is done with an event.
    pub(crate) fn remove(&mut self, position: Position) -> Option<Pending> {
        let pending = self.pending.remove(&position)?;
        self.due.remove(&(pending.due, position));
        Some(pending)
    }

    fn insert(&mut self, position: Position, pending: Pending) {
        self.due.insert((pending.due, position));
        self.pending.insert(position, pending);
    }

    /// What was delivered and is not finished, after `after`.
    pub(crate) fn pending(
        &self,
        log: &Log,
        after: Position,
        now: Moment,
    ) -> impl Iterator<Item = PendingEvent> {
        let delivered = self.pending.range(after + 1..).filter(|(_, pending)| pending.attempts > 0);
        let present = delivered.filter(|(position, _)| log.get(**position).is_some());
        present.map(move |(position, pending)| {
            let mut event = PendingEvent::new(message_id(*position), pending.attempts);
            event.consumer = Some(pending.consumer.to_string());
            event.idle = Some(now.saturating_sub(pending.delivered_at));
            event
        })
    }

    pub(crate) fn status(&self, name: &str, log: &Log, now: Moment) -> GroupStatus {
        // What was released counts as never delivered; what the log has lost will never be delivered again.
        let present = || self.pending.iter().filter(|(position, _)| log.get(**position).is_some());
        let delivered = || present().filter(|(_, pending)| pending.attempts > 0);
        let released = present().count() - delivered().count();
        let new = log.from(self.next.position).filter(|(position, entry)| self.next.admits(*position, entry));
        let oldest = delivered().next();
        let age = oldest.map(|(_, pending)| now.saturating_sub(pending.delivered_at));
        let lag = new.count() + released;
        let mut status = GroupStatus::new(name, Some(lag as u64), delivered().count() as u64, age);
        status.oldest_pending_published_at =
            oldest.and_then(|(position, _)| log.get(*position)).map(|entry| entry.published_at);
        status.last_delivered = self.next.position.checked_sub(1).filter(|last| *last > 0).map(message_id);
        let mut consumers: BTreeMap<&str, ConsumerStatus> = BTreeMap::new();
        for (_, pending) in delivered() {
            let name = &*pending.consumer;
            let consumer = consumers.entry(name).or_insert_with(|| ConsumerStatus::new(name, 0));
            consumer.pending += 1;
            let given = now.saturating_sub(pending.delivered_at);
            consumer.inactive = Some(consumer.inactive.map_or(given, |inactive| inactive.min(given)));
        }
        status.consumers = consumers.into_values().collect();
        status
    }
}
