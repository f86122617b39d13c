//! `RedisSettler`: ends deliveries of one consumer, many in one command.

use std::sync::Arc;
use std::time::Duration;

use events_core::{DeadLetterReason, Error, ErrorKind, Receipt, Result, Settlement, Settler, async_trait};
use fred::bytes_utils::Str;
use tokio::time::Instant;

use crate::agenda::{Agenda, Kept};
use crate::client::{Burial, Code, CommandError, Held, Hold, Moved, StreamClient};
use crate::entry_id::EntryId;
use crate::inbox::Inbox;
use crate::membership::Membership;

/// How many ids one `XACK` names, so that no command keeps the server from others for long.
const ACKS_IN_ONE_COMMAND: usize = 1_000;

/// What the server's clock may lag behind ours when an entry becomes due, both counting in milliseconds.
const ROUNDING: Duration = Duration::from_millis(1);

/// Ends deliveries of one consumer.
#[derive(Debug)]
pub(crate) struct RedisSettler {
    client: StreamClient,
    member: Arc<Membership>,
    agenda: Arc<Agenda>,
    inbox: Arc<Inbox>,
    delete_acknowledged: bool,
}

impl RedisSettler {
    pub(crate) fn new(
        client: StreamClient,
        member: Arc<Membership>,
        agenda: Arc<Agenda>,
        inbox: Arc<Inbox>,
        delete_acknowledged: bool,
    ) -> Self {
        Self { client, member, agenda, inbox, delete_acknowledged }
    }

    async fn ack(&self, receipts: &[Receipt]) -> Vec<Result<()>> {
        let mut outcomes = Vec::with_capacity(receipts.len());
        for receipts in receipts.chunks(ACKS_IN_ONE_COMMAND) {
            let ids = texts(receipts);
            // Only what was delivered before can have been noted as failed.
            let again = receipts.iter().filter(|receipt| receipt.attempt > 1);
            let again = again.map(|receipt| receipt.message_id.as_str().to_owned()).collect();
            let forgotten = self.client.forget_notes(&self.member.group, again);
            let (acked, ()) = tokio::join!(self.ack_ids(ids), forgotten);
            outcomes.extend(receipts.iter().map(|_| acked.clone().map_err(Error::from)));
        }
        outcomes
    }

    async fn ack_ids(&self, ids: Vec<Str>) -> Result<(), CommandError> {
        if self.delete_acknowledged && self.client.features().await.delete_acked {
            self.client.ack_and_delete(&self.member.group, ids).await
        } else {
            self.client.ack(&self.member.group, ids).await
        }
    }

    /// Gives entries back, to be taken again after `delay`.
    async fn give_back(&self, held: &[Held], delay: Duration, uncount: bool) -> Result<(), CommandError> {
        let lease = self.member.lease;
        // What is idle for the whole lease may be taken; longer than that the server cannot hide anything.
        let hold = Hold { idle: lease.saturating_sub(delay), uncount };
        let outcomes = harmless(self.client.move_leases(&self.member, hold, held).await)?;
        let now = Instant::now();
        let at = now.checked_add(delay + ROUNDING).unwrap_or(now + crate::inbox::FOREVER);
        // What is nobody's is found by the next read where reads claim, and needs no reminder there.
        let found_anyway = self.client.reads_claim();
        let remind = |moved: &Moved| match moved {
            Moved::NotHeld => false,
            Moved::Held => true,
            Moved::Nobodys => !found_anyway,
        };
        let mine = held.iter().zip(outcomes.unwrap_or_default()).filter(|(_, moved)| remind(moved));
        let mine = mine.map(|((id, attempt), _)| (*id, *attempt));
        if delay > lease {
            let kept = |attempt| Kept { attempt, until: at, told: now, retry: true };
            self.agenda.keep(mine.map(|(id, attempt)| (id, kept(attempt)))).await;
        } else {
            self.agenda.retry_at(at, mine.map(|(id, _)| id));
        }
        self.inbox.ring();
        Ok(())
    }

    async fn bury(
        &self,
        held: &[Held],
        reason: DeadLetterReason,
        detail: Option<&str>,
    ) -> Result<(), CommandError> {
        let burial = |&(id, attempt): &Held| Burial {
            id,
            count: attempt,
            attempts: attempt,
            reason,
            detail: detail.map(str::to_owned),
        };
        let burials: Vec<Burial> = held.iter().map(burial).collect();
        harmless(self.client.bury(&self.member, &burials).await).map(drop)
    }

    async fn nack(&self, held: &[Held], delay: Duration, error: Option<&str>) -> Vec<Result<()>> {
        let is_last = |(_, attempt): &Held| *attempt >= self.member.max_deliveries.get();
        let (last, others): (Vec<Held>, Vec<Held>) = held.iter().partition(|held| is_last(held));
        let buried = async {
            if last.is_empty() {
                Ok(())
            } else {
                self.bury(&last, DeadLetterReason::MaxDeliveries, error).await
            }
        };
        let given_back = async {
            if others.is_empty() {
                return Ok(());
            }
            // In this order on one connection: what is noted is how things stand before the lease ends.
            let noted = self.client.note(&self.member, &others, error);
            let ((), given_back) = tokio::join!(biased; noted, self.give_back(&others, delay, false));
            given_back
        };
        let (buried, given_back) = tokio::join!(buried, given_back);
        let outcome = |held| if is_last(held) { &buried } else { &given_back };
        held.iter().map(|held| outcome(held).clone().map_err(Error::from)).collect()
    }
}

/// The ids of receipts: parts of one text, since with one for each the allocator would cost more than the rest.
fn texts(receipts: &[Receipt]) -> Vec<Str> {
    let all: String = receipts.iter().map(|receipt| receipt.message_id.as_str()).collect();
    let (all, mut at) = (Str::from(all), 0);
    let part = |receipt: &Receipt| {
        let start = at;
        at += receipt.message_id.as_str().len();
        all.slice(start..at)
    };
    receipts.iter().map(part).collect()
}

/// Settling what a lost group held changes nothing and is no error.
fn harmless<T>(outcome: Result<T, CommandError>) -> Result<Option<T>, CommandError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == Code::GroupLost => Ok(None),
        Err(error) => Err(error),
    }
}

/// Finds the entries of receipts; all of them are ours, so this fails only for a receipt somebody made up.
fn held(receipts: &[Receipt]) -> Result<Vec<Held>> {
    receipts.iter().map(|receipt| Ok((EntryId::try_from(&receipt.message_id)?, receipt.attempt))).collect()
}

fn each<T>(receipts: &[Receipt], outcome: impl Fn() -> Result<T>) -> Vec<Result<T>> {
    receipts.iter().map(|_| outcome()).collect()
}

#[async_trait]
impl Settler for RedisSettler {
    async fn settle(&self, receipts: &[Receipt], settlement: &Settlement) -> Vec<Result<()>> {
        // What every event goes through is kept short: only what the agenda may hold needs to be known by more than its id.
        if *settlement == Settlement::Ack && !self.agenda.keeps_any() {
            return self.ack(receipts).await;
        }
        let Ok(held) = held(receipts) else { return each(receipts, || held(receipts).map(drop)) };
        self.agenda.forget(held.iter().map(|(id, _)| *id)).await;
        let outcome = match settlement {
            Settlement::Ack => return self.ack(receipts).await,
            Settlement::Nack { delay, error } => {
                return Box::pin(self.nack(&held, *delay, error.as_deref())).await;
            }
            Settlement::Release => self.give_back(&held, Duration::ZERO, true).await,
            Settlement::Reject { reason } => self.bury(&held, DeadLetterReason::Rejected, Some(reason)).await,
            _ => return each(receipts, || Err(Error::unsupported("settle"))),
        };
        each(receipts, || outcome.clone().map_err(Error::from))
    }

    async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<()>> {
        let Ok(held) = held(receipts) else { return each(receipts, || held(receipts).map(drop)) };
        self.agenda.forget(held.iter().map(|(id, _)| *id)).await;
        let hold = Hold { idle: self.member.lease.saturating_sub(lease), uncount: false };
        let now = Instant::now();
        let outcomes = match harmless(self.client.hold(&self.member, hold, &held).await) {
            Ok(outcomes) => outcomes.unwrap_or_else(|| vec![false; held.len()]),
            Err(error) => return each(receipts, || Err(error.clone().into())),
        };
        if lease > self.member.lease {
            let until = now.checked_add(lease).unwrap_or(now + crate::inbox::FOREVER);
            let mine = held.iter().zip(&outcomes).filter(|(_, held)| **held);
            let kept = mine
                .map(|((id, attempt), _)| (*id, Kept { attempt: *attempt, until, told: now, retry: false }));
            self.agenda.keep(kept).await;
            self.inbox.ring();
        }
        let lost = || {
            Error::new(ErrorKind::NotFound, "extend", "the lease has ended and the event is no longer held")
        };
        outcomes.into_iter().map(|held| if held { Ok(()) } else { Err(lost()) }).collect()
    }

    fn abandon(&self, _: &Receipt) {
        // Nothing counts what is in flight: the entry stays pending and its lease runs out at the server.
    }
}
