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

/// An entry and the delivery that was counted for it.
pub(crate) type Held = (EntryId, u32);

/// A script spreads an entry's fields over Lua's stack, which holds 8,000 values.
const MAX_SCRIPTED_FIELDS: usize = 2_000;

/// How many entries one script looks at, so that no script keeps the server from others for long.
const HELD_IN_ONE_SCRIPT: usize = 500;

impl StreamClient {
    /// Adds entries in order and returns each one's id or refusal.
    pub(crate) async fn add_many(&self, batch: Vec<Fields>) -> Vec<Result<MessageId>> {
        if batch.len() > 1 && batch.iter().all(|fields| fields.len() <= MAX_SCRIPTED_FIELDS) {
            match self.add_by_script(&batch).await {
                Ok(Some(outcomes)) => return outcomes,
                Ok(None) => {}
                Err(error) => return batch.iter().map(|_| Err(error.clone())).collect(),
            }
        }
        let adds: FuturesOrdered<_> = batch.into_iter().map(|fields| self.add(fields)).collect();
        adds.collect().await
    }

    async fn add_by_script(&self, batch: &[Fields]) -> Result<Option<Vec<Result<MessageId>>>> {
        let only_bodies = |fields: &Fields| matches!(fields.as_slice(), [(name, _)] if name == events_core::wire::BODY_FIELD.as_bytes());
        let (script, arguments) = if batch.iter().all(only_bodies) {
            let bodies = batch.iter().flatten().map(|(_, body)| Value::Bytes(body.clone()));
            (scripts::ADD_BODIES, bodies.collect())
        } else {
            let mut arguments = Vec::new();
            for fields in batch {
                arguments.push(Value::Integer(fields.len() as i64));
                for (name, value) in fields {
                    arguments.extend([Value::Bytes(name.clone()), Value::Bytes(value.clone())]);
                }
            }
            (scripts::ADD_ENTRIES, arguments)
        };
        let Some(reply) = self.script(script, arguments).await? else { return Ok(None) };
        let (refusal, ids) = reply::added(reply).ok_or_else(|| self.unreadable("EVAL"))?;
        let refusal = fred::error::Error::new(fred::error::ErrorKind::Unknown, refusal);
        let mut outcomes: Vec<Result<MessageId>> = ids.into_iter().map(Ok).collect();
        outcomes.resize_with(batch.len(), || Err(CommandError::new("XADD", self.key(), refusal.clone())));
        Ok(Some(outcomes))
    }

    /// Moves the leases of entries that are still held by the delivery that is named; says of each whether it was.
    pub(crate) async fn hold(&self, member: &Membership, hold: Hold, entries: &[Held]) -> Result<Vec<bool>> {
        let mut held = Vec::with_capacity(entries.len());
        for entries in entries.chunks(HELD_IN_ONE_SCRIPT) {
            let mut arguments: Vec<Value> = vec![
                member.group.clone().into(),
                member.consumer.clone().into(),
                number(milliseconds(hold.idle)),
                i64::from(hold.uncount).into(),
            ];
            for (id, count) in entries {
                arguments.extend([id.to_string().into(), i64::from(*count).into()]);
            }
            match self.script(scripts::HOLD, arguments).await? {
                Some(reply) => {
                    let flags: Vec<i64> = reply.convert().map_err(self.failed("EVAL"))?;
                    held.extend(flags.into_iter().map(|flag| flag == 1));
                }
                None => held.extend(unscripted::hold(self, member, hold, entries).await?),
            }
        }
        Ok(held)
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

fn number(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

/// Kept here so that both ways of doing a thing read replies alike.
pub(super) fn ids(value: Value) -> Option<Vec<EntryId>> {
    reply::ids(value)
}
