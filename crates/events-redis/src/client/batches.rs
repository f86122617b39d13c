//! What is done to many entries at once: by one script where the server runs scripts, by single commands where not.

use bytes::Bytes;
use events_core::{DeadLetterReason, MessageId};
use fred::types::Value;
use futures_util::stream::{FuturesOrdered, StreamExt};

use super::error::CommandError;
use super::scripts::{self, Burial, Hold};
use super::stream_client::StreamClient;
use super::{reply, unscripted};
use crate::entry_id::EntryId;
use crate::keys::notes_key;
use crate::membership::{Membership, milliseconds};

type Result<T, E = CommandError> = std::result::Result<T, E>;

/// Fields of entries that are to be added.
pub(crate) type Fields = Vec<(Bytes, Bytes)>;

/// An entry that is to be added.
#[derive(Clone, Debug)]
pub(crate) struct NewEntry {
    /// What the server may remember it by.
    pub(crate) once: Option<Bytes>,
    pub(crate) fields: Fields,
}

/// An entry and the delivery that was counted for it.
pub(crate) type Held = (EntryId, u32);

/// What became of a lease that was to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// The entry is somebody else's by now, or was acknowledged.
    NotHeld,
    /// The lease has the end it was given.
    Held,
    /// The entry is nobody's, and everybody who waits for one was told.
    Nobodys,
}

/// A script spreads an entry's fields over Lua's stack, which holds 8,000 values.
const MAX_SCRIPTED_FIELDS: usize = 2_000;

/// How many entries one script looks at, so that no script keeps the server from others for long.
const HELD_IN_ONE_SCRIPT: usize = 500;

impl StreamClient {
    /// Adds entries in order and returns each one's id or refusal.
    ///
    /// With a `producer` the server remembers what it added, if it can: an entry it remembers is not added again, and
    /// its id is that of the first time.
    pub(crate) async fn add_many(
        &self,
        mut batch: Vec<NewEntry>,
        producer: Option<&str>,
    ) -> Vec<Result<MessageId>> {
        let producer = match producer {
            Some(producer) if self.features().await.idempotent => Some(producer),
            _ => None,
        };
        if batch.len() > 1 && batch.iter().all(|entry| entry.fields.len() <= MAX_SCRIPTED_FIELDS) {
            match self.add_by_script(&batch, producer).await {
                Ok(Some(outcomes)) => return outcomes,
                Ok(None) => {}
                Err(error) => return batch.iter().map(|_| Err(error.clone())).collect(),
            }
        }
        let add = |NewEntry { once, fields }: NewEntry| async {
            match producer.zip(once) {
                Some((producer, once)) => self.add_once(producer, once, fields).await,
                None => self.add(fields).await,
            }
        };
        if batch.len() == 1
            && let Some(single) = batch.pop()
        {
            return vec![add(single).await];
        }
        let adds: FuturesOrdered<_> = batch.into_iter().map(add).collect();
        adds.collect().await
    }

    async fn add_by_script(
        &self,
        batch: &[NewEntry],
        producer: Option<&str>,
    ) -> Result<Option<Vec<Result<MessageId>>>> {
        let (script, arguments) = script_to_add(batch, producer);
        let Some(reply) = self.script(script, arguments).await? else { return Ok(None) };
        let (refusal, ids) = reply::added(reply).ok_or_else(|| self.unreadable("EVAL"))?;
        let refusal = fred::error::Error::new(fred::error::ErrorKind::Unknown, refusal);
        let mut outcomes: Vec<Result<MessageId>> = ids.into_iter().map(Ok).collect();
        outcomes.resize_with(batch.len(), || Err(CommandError::new("XADD", self.key(), refusal.clone())));
        Ok(Some(outcomes))
    }

    /// Moves the leases of entries that are still held by the delivery that is named; says of each whether it was.
    pub(crate) async fn hold(&self, member: &Membership, hold: Hold, entries: &[Held]) -> Result<Vec<bool>> {
        let moved = self.move_leases(member, hold, entries).await?;
        Ok(moved.into_iter().map(|moved| moved != Moved::NotHeld).collect())
    }

    /// As [`hold`](Self::hold), and says what became of each. A lease that ends now makes the entry nobody's where the
    /// server can do that.
    pub(crate) async fn move_leases(
        &self,
        member: &Membership,
        hold: Hold,
        entries: &[Held],
    ) -> Result<Vec<Moved>> {
        let ends_now = hold.idle >= member.lease;
        let nack = ends_now && self.scripted() && self.features().await.nack;
        let mut outcomes = Vec::with_capacity(entries.len());
        for entries in entries.chunks(HELD_IN_ONE_SCRIPT) {
            let mut arguments: Vec<Value> = vec![
                member.group.clone().into(),
                member.consumer.clone().into(),
                number(milliseconds(hold.idle)),
                i64::from(hold.uncount).into(),
                i64::from(nack).into(),
            ];
            for (id, count) in entries {
                arguments.extend([id.to_string().into(), i64::from(*count).into()]);
            }
            match self.script(scripts::HOLD, arguments).await? {
                Some(reply) => {
                    let moved: Vec<i64> = reply.convert().map_err(self.failed("EVAL"))?;
                    outcomes.extend(moved.into_iter().map(|moved| match moved {
                        0 => Moved::NotHeld,
                        1 => Moved::Held,
                        _ => Moved::Nobodys,
                    }));
                }
                None => {
                    let held = unscripted::hold(self, member, hold, entries).await?;
                    let moved = |held| if held { Moved::Held } else { Moved::NotHeld };
                    outcomes.extend(held.into_iter().map(moved));
                }
            }
        }
        Ok(outcomes)
    }

    /// Moves entries that are still held by the delivery that is named to the dead letters; returns how many it were.
    pub(crate) async fn bury(&self, member: &Membership, burials: &[Burial]) -> Result<u64> {
        let mut buried = 0;
        for reason in
            [DeadLetterReason::Undecodable, DeadLetterReason::MaxDeliveries, DeadLetterReason::Rejected]
        {
            let burials: Vec<&Burial> = burials.iter().filter(|burial| burial.reason == reason).collect();
            for burials in burials.chunks(HELD_IN_ONE_SCRIPT) {
                buried += self.bury_for(member, reason, burials).await?;
            }
        }
        Ok(buried)
    }

    async fn bury_for(
        &self,
        member: &Membership,
        reason: DeadLetterReason,
        burials: &[&Burial],
    ) -> Result<u64> {
        let mut arguments: Vec<Value> = vec![
            member.group.clone().into(),
            member.consumer.clone().into(),
            reason.as_str().into(),
            notes_key(&self.key, &member.group).into(),
        ];
        for burial in burials {
            arguments.extend([
                burial.id.to_string().into(),
                i64::from(burial.count).into(),
                i64::from(burial.attempts).into(),
                burial.detail.clone().unwrap_or_default().into(),
            ]);
        }
        match self.script(scripts::BURY, arguments).await {
            Ok(Some(reply)) => reply.convert().map_err(self.failed("EVAL")),
            // An entry with more fields than a script can spread.
            Err(error) if error.to_string().contains("too many results to unpack") => {
                unscripted::bury(self, member, burials).await
            }
            Ok(None) => unscripted::bury(self, member, burials).await,
            Err(error) => Err(error),
        }
    }

    /// Gives dead letters back and returns how many.
    pub(crate) async fn redrive(&self, ids: &[String]) -> Result<u64> {
        let mut given = 0;
        for ids in ids.chunks(HELD_IN_ONE_SCRIPT) {
            let mut arguments: Vec<Value> =
                vec![unscripted::REDRIVER.into(), number(milliseconds(unscripted::REDRIVEN_IDLE))];
            arguments.extend(ids.iter().map(|id| Value::from(id.as_str())));
            given += match self.script(scripts::REDRIVE, arguments).await? {
                Some(reply) => reply.convert().map_err(self.failed("EVAL"))?,
                None => unscripted::redrive(self, ids).await?,
            };
        }
        Ok(given)
    }

    /// Removes the consumer's name from its group if it owns no pending entries. Where scripts are refused the name
    /// stays: without one, an entry could be given to it between looking and removing.
    pub(crate) async fn leave(&self, member: &Membership) -> Result<()> {
        let arguments = vec![member.group.clone().into(), member.consumer.clone().into()];
        self.script(scripts::LEAVE, arguments).await.map(drop)
    }
}

/// The shortest script that adds these entries, and its arguments.
fn script_to_add(batch: &[NewEntry], producer: Option<&str>) -> (&'static str, Vec<Value>) {
    let only_body = |entry: &NewEntry| matches!(entry.fields.as_slice(), [(name, _)] if name == events_core::wire::BODY_FIELD.as_bytes());
    if producer.is_none() && batch.iter().all(only_body) {
        let bodies = batch.iter().flat_map(|entry| &entry.fields).map(|(_, body)| Value::Bytes(body.clone()));
        return (scripts::ADD_BODIES, bodies.collect());
    }
    let mut arguments: Vec<Value> = producer.map(Value::from).into_iter().collect();
    for NewEntry { once, fields } in batch {
        if producer.is_some() {
            arguments.push(Value::Bytes(once.clone().unwrap_or_default()));
        }
        arguments.push(Value::Integer(fields.len() as i64));
        for (name, value) in fields {
            arguments.extend([Value::Bytes(name.clone()), Value::Bytes(value.clone())]);
        }
    }
    (if producer.is_some() { scripts::ADD_ONCE } else { scripts::ADD_ENTRIES }, arguments)
}

fn number(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

/// Kept here so that both ways of doing a thing read replies alike.
pub(super) fn ids(value: Value) -> Option<Vec<EntryId>> {
    reply::ids(value)
}
