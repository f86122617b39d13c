//! What is done to many entries of a group at once: by one script where the server runs scripts, by single commands where not.

use events_core::DeadLetterReason;
use fred::types::Value;

use super::error::CommandError;
use super::scripts::{self, Burial, Hold};
use super::stream_client::StreamClient;
use super::{reply, unscripted};
use crate::entry_id::EntryId;
use crate::keys::notes_key;
use crate::membership::{Membership, milliseconds};

type Result<T, E = CommandError> = std::result::Result<T, E>;

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

/// How many entries one script looks at, so that no script keeps the server from others for long.
const HELD_IN_ONE_SCRIPT: usize = 500;

impl StreamClient {
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
                let moved = self.bury_for(member, reason, burials).await?;
                if moved > 0 {
                    member.observer.dead_lettered(reason, moved);
                }
                buried += moved;
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
