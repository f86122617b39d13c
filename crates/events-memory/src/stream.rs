//! One stream: its log, its groups and its dead letters, and how events move between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use events_core::wire::RawMessage;
use events_core::{
    ConsumerOptions, DeadLetter, DeadLetterReason, Error, ErrorKind, MessageId, Receipt, Result, Settlement,
};
use time::OffsetDateTime;

use crate::clock::{Clock, Moment};
use crate::dead_letters::DeadLetters;
use crate::group::{Group, Pending, Token};
use crate::log::{Entry, Log, Position, Start, message_id, position};

/// How much a full stream forgets at a time, as a part of its limit, so that looking for it costs little per event.
const FORGET_PART: usize = 16;

/// A consumer, as its stream knows it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) options: ConsumerOptions,
    pub(crate) name: Arc<str>,
}

/// An event lent to a consumer.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) entry: Arc<Entry>,
    pub(crate) receipt: Receipt,
}

#[derive(Debug)]
pub(crate) struct Stream {
    name: Arc<str>,
    pub(crate) log: Log,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) dead_letters: DeadLetters,
    next_token: Token,
}

impl Stream {
    pub(crate) fn new(name: Arc<str>) -> Self {
        let (log, groups, dead_letters) = (Log::new(), BTreeMap::new(), DeadLetters::new());
        Self { name, log, groups, dead_letters, next_token: 1 }
    }

    /// Appends a message, or refuses it as `Full` when the stream holds `limit` and may forget none of them.
    pub(crate) fn publish(
        &mut self,
        message: RawMessage,
        date: OffsetDateTime,
        limit: usize,
    ) -> Result<Position> {
        let excess = (self.log.len() + self.dead_letters.len() + 1).saturating_sub(limit);
        if excess > 0 {
            let groups = &self.groups;
            let needed =
                |position: Position, entry: &Entry| groups.values().any(|group| group.needs(position, entry));
            if self.log.forget(excess.max(limit / FORGET_PART), needed) < excess {
                let message = format!("the stream holds {limit} events that are not done with");
                return Err(Error::new(ErrorKind::Full, "publish", message));
            }
        }
        Ok(self.log.append(message, date))
    }

    /// Loses everything but the ids it has given.
    pub(crate) fn clear(&mut self) {
        self.log.clear();
        self.groups.clear();
        self.dead_letters.clear();
    }

    /// Where the group is, made at `start` if there is none.
    pub(crate) fn join(&mut self, group: &str, start: Start) -> Start {
        if let Some(group) = self.groups.get(group) {
            return group.unfinished();
        }
        self.groups.insert(group.to_owned(), Group::new(start));
        start
    }

    /// Lends up to `max` events to a member: those that are due again first, then those never delivered.
    pub(crate) fn lend(&mut self, member: &Member, max: usize, clock: &Clock) -> Vec<Lent> {
        let (now, date) = (clock.now(), clock.date());
        let mut lent = Vec::new();
        while lent.len() < max {
            let Some((position, entry)) = self.next_for(member, now, clock) else { break };
            let Some(group) = self.groups.get_mut(member.options.group()) else { break };
            let token = self.next_token;
            self.next_token += 1;
            let attempt = group.lend(position, &member.name, token, (now, date), member.options.lease());
            let handle = Some(token.to_string().into());
            lent.push(Lent { entry, receipt: Receipt { message_id: message_id(position), attempt, handle } });
        }
        lent
    }

    /// The next event for a member; those that had their last attempt become dead letters on the way.
    fn next_for(&mut self, member: &Member, now: Moment, clock: &Clock) -> Option<(Position, Arc<Entry>)> {
        let group_name = member.options.group();
        loop {
            let group = self.groups.get_mut(group_name)?;
            let Some(position) = group.first_due(now) else { return group.take_new(&self.log) };
            match (self.log.get(position), group.get(position)) {
                (Some(entry), Some(pending)) if pending.attempts < member.options.max_deliveries().get() => {
                    return Some((position, Arc::clone(entry)));
                }
                (Some(_), Some(_)) => {
                    self.bury(member, position, DeadLetterReason::MaxDeliveries, None, clock);
                }
                // The event was removed from the stream while it was pending: nothing is left to deliver.
                _ => drop(group.remove(position)),
            }
        }
    }

    /// Ends one delivery. A delivery that no longer holds its event changes nothing, except that an ack counts.
    pub(crate) fn settle(
        &mut self,
        member: &Member,
        receipt: &Receipt,
        settlement: &Settlement,
        clock: &Clock,
    ) -> Result<()> {
        let group_name = member.options.group();
        let (Some(position), Some(group)) = (position(&receipt.message_id), self.groups.get_mut(group_name))
        else {
            return Ok(());
        };
        if *settlement == Settlement::Ack {
            drop(group.remove(position));
            return Ok(());
        }
        let Some(pending) = group.held(position, token(receipt)) else { return Ok(()) };
        let is_last = pending.attempts >= member.options.max_deliveries().get();
        let now = clock.now();
        match settlement {
            Settlement::Nack { error, .. } if is_last => {
                self.bury(member, position, DeadLetterReason::MaxDeliveries, error.clone(), clock);
            }
            Settlement::Nack { delay, error } => {
                group.give_back(position, now.saturating_add(*delay), error.clone());
            }
            Settlement::Release => group.release(position, now),
            Settlement::Reject { reason } => {
                self.bury(member, position, DeadLetterReason::Rejected, Some(reason.clone()), clock);
            }
            _ => return Err(Error::unsupported("settle")),
        }
        Ok(())
    }

    /// Lets the lease of one delivery end `lease` from now.
    pub(crate) fn extend(
        &mut self,
        member: &Member,
        receipt: &Receipt,
        lease: Duration,
        now: Moment,
    ) -> Result<()> {
        let held = position(&receipt.message_id).and_then(|position| {
            let group = self.groups.get_mut(member.options.group())?;
            group.held(position, token(receipt))?;
            Some((group, position))
        });
        let Some((group, position)) = held else {
            return Err(Error::new(ErrorKind::NotFound, "extend", "the delivery no longer holds its event"));
        };
        group.extend(position, now.saturating_add(lease));
        Ok(())
    }

    /// Moves an event out of its group's way. `detail` says why in words; without it the last known error does.
    pub(crate) fn bury(
        &mut self,
        member: &Member,
        position: Position,
        reason: DeadLetterReason,
        detail: Option<String>,
        clock: &Clock,
    ) {
        let group_name = member.options.group();
        let pending = self.groups.get_mut(group_name).and_then(|group| group.remove(position));
        let (Some(pending), Some(entry)) = (pending, self.log.get(position)) else { return };
        let Pending { attempts, consumer, last_error, dates, .. } = pending;
        let not_before_published = |date: OffsetDateTime| date.max(entry.published_at);
        self.dead_letters.keep(|id| DeadLetter {
            id,
            message: entry.message.clone(),
            reason,
            detail: detail.or(last_error),
            attempts,
            stream: self.name.to_string(),
            group: group_name.to_owned(),
            consumer: consumer.to_string(),
            origin_id: message_id(position),
            published_at: Some(entry.published_at),
            // The published time is kept in order even when the clock is set back, and so are these.
            first_delivered_at: dates.map(|(first, _)| not_before_published(first)),
            last_delivered_at: dates.map(|(_, last)| not_before_published(last)),
            dead_at: not_before_published(clock.date()),
        });
        member.options.observer().dead_lettered(reason, 1);
    }

    /// Gives a dead letter back to its group; `false` when there is no such letter, or its group is gone.
    pub(crate) fn redrive(&mut self, id: &MessageId, clock: &Clock) -> bool {
        let Some(letter) = self.dead_letters.get(id) else { return false };
        let Some(group) = self.groups.get_mut(&letter.group) else { return false };
        match position(&letter.origin_id).filter(|position| self.log.get(*position).is_some()) {
            Some(position) => group.redeliver(position, clock.now()),
            None => {
                self.log.append(letter.message.clone(), clock.date());
            }
        }
        self.dead_letters.remove(id).is_some()
    }
}

/// The token a receipt carries; 0, which is never given, if it carries none.
fn token(receipt: &Receipt) -> Token {
    receipt.handle.as_deref().and_then(|handle| handle.parse().ok()).unwrap_or(0)
}
