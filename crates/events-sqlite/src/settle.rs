//! Settles deliveries: acknowledges them, gives them back, dead-letters them, extends their leases.
//!
//! Each statement names number, attempt and consumer, so that whoever holds an event too late changes nothing for the next holder.

use std::sync::Arc;

use async_trait::async_trait;
use events_core::{DeadLetterReason, Error, ErrorKind, Observer, Receipt, Result, Settlement, Settler};
use rusqlite::{Connection, OptionalExtension, params};

use crate::clock;
use crate::database::Database;
use crate::dead_letters::{Burial, bury};
use crate::due::look_no_later_than;
use crate::error::Failure;
use crate::join::Membership;
use crate::position;

/// What tells one holder of an event from another, besides the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    pub(crate) seq: i64,
    pub(crate) attempt: u32,
}

/// Acknowledges; neighbours in the stream with equal attempts in one statement.
pub(crate) fn ack(connection: &Connection, membership: &Membership, held: &[Held]) -> Result<(), Failure> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM deliveries WHERE group_id = ?1 AND seq BETWEEN ?2 AND ?3 AND attempt = ?4 AND consumer_id = ?5",
    )?;
    let mut held = held.to_vec();
    held.sort_unstable();
    for run in held.chunk_by(|a, b| a.attempt == b.attempt && (a.seq == b.seq || a.seq + 1 == b.seq)) {
        // Every number between the first and the last is in the run, so nothing is acknowledged that is not named.
        if let [first, .., last] | [first @ last] = run {
            statement.execute(params![
                membership.group_id,
                first.seq,
                last.seq,
                first.attempt,
                membership.consumer_id
            ])?;
        }
    }
    Ok(())
}

/// Gives back for another attempt after `delay` microseconds, or dead-letters after the last one; returns how many it
/// dead-lettered.
pub(crate) fn nack(
    connection: &Connection,
    membership: &Membership,
    held: &[Held],
    max_deliveries: u32,
    (delay, error): (i64, Option<&String>),
    now: i64,
) -> Result<u64, Failure> {
    let (last, again): (Vec<Held>, Vec<Held>) = held.iter().partition(|held| held.attempt >= max_deliveries);
    let buried = bury_held(
        connection,
        membership,
        &last,
        &Burial::new(DeadLetterReason::MaxDeliveries, error.cloned()),
        now,
    )?;
    let due_at = now.saturating_add(delay);
    let mut statement = connection.prepare_cached(
        "UPDATE deliveries SET due_at = ?1, error = coalesce(?2, error), given_back = 1 \
         WHERE group_id = ?3 AND seq = ?4 AND attempt = ?5 AND consumer_id = ?6",
    )?;
    for Held { seq, attempt } in again {
        statement.execute(params![
            due_at,
            error,
            membership.group_id,
            seq,
            attempt,
            membership.consumer_id
        ])?;
    }
    Ok(buried)
}

/// Gives back as if it had not been delivered.
pub(crate) fn release(
    connection: &Connection,
    membership: &Membership,
    held: &[Held],
    now: i64,
) -> Result<(), Failure> {
    let mut statement = connection.prepare_cached(
        "UPDATE deliveries SET attempt = attempt - 1, due_at = ?1, given_back = 1 \
         WHERE group_id = ?2 AND seq = ?3 AND attempt = ?4 AND consumer_id = ?5",
    )?;
    for Held { seq, attempt } in held {
        statement.execute(params![now, membership.group_id, seq, attempt, membership.consumer_id])?;
    }
    Ok(())
}

/// Dead-letters what is still this consumer's, and returns how many that were.
pub(crate) fn bury_held(
    connection: &Connection,
    membership: &Membership,
    held: &[Held],
    burial: &Burial,
    now: i64,
) -> Result<u64, Failure> {
    let mut buried = 0;
    for held in held {
        if is_held(connection, membership, *held)? && bury(connection, membership, held.seq, burial, now)? {
            buried += 1;
        }
    }
    Ok(buried)
}

fn is_held(connection: &Connection, membership: &Membership, held: Held) -> Result<bool, Failure> {
    let found = connection
        .prepare_cached(
            "SELECT 1 FROM deliveries WHERE group_id = ?1 AND seq = ?2 AND attempt = ?3 AND consumer_id = ?4",
        )?
        .query_row(params![membership.group_id, held.seq, held.attempt, membership.consumer_id], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

/// Lets leases end `lease` microseconds from now, and says which of them were still this consumer's; what it gave back is not.
pub(crate) fn extend(
    connection: &Connection,
    membership: &Membership,
    held: &[Held],
    lease: i64,
    now: i64,
) -> Result<Vec<bool>, Failure> {
    let due_at = now.saturating_add(lease);
    let mut statement = connection.prepare_cached(
        "UPDATE deliveries SET due_at = ?1 \
         WHERE group_id = ?2 AND seq = ?3 AND attempt = ?4 AND consumer_id = ?5 AND given_back = 0",
    )?;
    let mut extended = Vec::with_capacity(held.len());
    for Held { seq, attempt } in held {
        let changed =
            statement.execute(params![due_at, membership.group_id, seq, attempt, membership.consumer_id])?;
        extended.push(changed > 0);
    }
    // A lease may be made shorter, too.
    look_no_later_than(connection, membership.group_id, due_at)?;
    Ok(extended)
}

/// Settles the deliveries of one consumer.
#[derive(Debug)]
pub(crate) struct SqliteSettler {
    pub(crate) database: Arc<Database>,
    pub(crate) membership: Membership,
    pub(crate) max_deliveries: u32,
    pub(crate) observer: Arc<dyn Observer>,
}

impl SqliteSettler {
    /// Runs `work` for the deliveries in one transaction; they have one outcome, since they are settled all or not at all.
    async fn settle_held<T: Send + 'static>(
        &self,
        operation: &'static str,
        receipts: &[Receipt],
        work: impl Fn(&Connection, &Membership, &[Held]) -> Result<T, Failure> + Send + 'static,
    ) -> std::result::Result<T, Vec<Result<()>>> {
        let mut held = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            match position::parse(operation, &receipt.message_id) {
                Ok(seq) => held.push(Held { seq, attempt: receipt.attempt }),
                // Every delivery of this backend has a number, so these receipts are another backend's.
                Err(_) => {
                    return Err(for_each(receipts, || {
                        Error::new(ErrorKind::NotFound, operation, "no such delivery")
                    }));
                }
            }
        }
        let membership = self.membership;
        let work = move |connection: &Connection| work(connection, &membership, &held);
        let outcome = self.database.write(receipts.len(), work).await;
        outcome.map_err(|failure| for_each(receipts, || failure.to_error(operation)))
    }

    /// Tells whoever counts them how many became dead letters.
    fn told<E>(
        &self,
        reason: DeadLetterReason,
        buried: std::result::Result<u64, E>,
    ) -> std::result::Result<(), E> {
        let buried = buried?;
        if buried > 0 {
            self.observer.dead_lettered(reason, buried);
        }
        Ok(())
    }
}

#[async_trait]
impl Settler for SqliteSettler {
    async fn settle(&self, receipts: &[Receipt], settlement: &Settlement) -> Vec<Result<()>> {
        let max_deliveries = self.max_deliveries;
        let outcome = match settlement {
            Settlement::Ack => self.settle_held("ack", receipts, ack).await,
            Settlement::Nack { delay, error } => {
                let (delay, error) = (clock::micros(*delay), error.clone());
                let work = move |connection: &Connection, membership: &Membership, held: &[Held]| {
                    let how = (delay, error.as_ref());
                    nack(connection, membership, held, max_deliveries, how, clock::now())
                };
                let buried = self.settle_held("nack", receipts, work).await;
                self.told(DeadLetterReason::MaxDeliveries, buried)
            }
            Settlement::Release => {
                let work = |connection: &Connection, membership: &Membership, held: &[Held]| {
                    release(connection, membership, held, clock::now())
                };
                self.settle_held("release", receipts, work).await
            }
            Settlement::Reject { reason } => {
                let burial = Burial::new(DeadLetterReason::Rejected, Some(reason.clone()));
                let work = move |connection: &Connection, membership: &Membership, held: &[Held]| {
                    bury_held(connection, membership, held, &burial, clock::now())
                };
                let buried = self.settle_held("reject", receipts, work).await;
                self.told(DeadLetterReason::Rejected, buried)
            }
            _ => Err(for_each(receipts, || Error::unsupported("settle"))),
        };
        match outcome {
            Ok(()) => receipts.iter().map(|_| Ok(())).collect(),
            Err(outcomes) => outcomes,
        }
    }

    async fn extend(&self, receipts: &[Receipt], lease: std::time::Duration) -> Vec<Result<()>> {
        let lease = clock::micros(lease);
        let work = move |connection: &Connection, membership: &Membership, held: &[Held]| {
            extend(connection, membership, held, lease, clock::now())
        };
        let not_held =
            || Error::new(ErrorKind::NotFound, "extend", "the delivery is no longer this consumer's");
        match self.settle_held("extend", receipts, work).await {
            Ok(held) => held.into_iter().map(|held| if held { Ok(()) } else { Err(not_held()) }).collect(),
            Err(outcomes) => outcomes,
        }
    }

    fn abandon(&self, _: &Receipt) {
        // The file knows when the lease ends; nothing is counted here.
    }
}

/// An error for each of the calls that shared one.
fn for_each(receipts: &[Receipt], error: impl Fn() -> Error) -> Vec<Result<()>> {
    receipts.iter().map(|_| Err(error())).collect()
}
