//! Joining the group, making it again when it is gone, and leaving it.

use std::time::Duration;

use events_core::{Error, ErrorKind, Result};
use tokio::time::{Instant, timeout};
use tracing::{debug, info};

use super::handover::fingerprint;
use super::{Joined, Reader};
use crate::client::{Code, CommandError, Hold};
use crate::entry_id::EntryId;

/// How long leaving may take; what was not given back by then comes back when its lease ends.
const LEAVING_PATIENCE: Duration = Duration::from_secs(3);

/// How many entries one command takes into the group.
const ADOPTED_AT_ONCE: usize = 1_000;

impl Reader {
    /// Makes sure that the group is there.
    ///
    /// # Errors
    ///
    /// What keeps it from being made.
    pub(crate) async fn join(&mut self) -> Result<(), CommandError> {
        let start = match self.joined {
            Joined::Lost => Some(self.start_again().await?),
            _ => self.start_after,
        };
        let created = self.commands.create_group(&self.member.group, start).await?;
        let given = match self.commands.groups().await {
            Ok(groups) => {
                let group = groups.into_iter().find(|group| group.name == self.member.group);
                group.map(|group| group.last_delivered)
            }
            // Then the group starts from the beginning should it be lost.
            Err(error) if error.code() == Code::NoPermission => {
                debug!(%error, "the group's position is unknown");
                None
            }
            Err(error) => return Err(error),
        };
        if created {
            // It starts before them.
            self.orphans.clear();
        }
        self.adopt(given).await?;
        // Where the group is now: should it vanish before anything was read, it starts here again.
        self.position = self.position.max(given);
        if self.joined == Joined::Lost {
            let start = start.unwrap_or(EntryId::ZERO);
            info!(group = self.member.group, %start, "the consumer group was made again");
        }
        self.joined = Joined::Yes;
        Ok(())
    }

    /// The id after which a lost group starts so that nothing is lost.
    ///
    /// When the stream survived that is what was taken last, or what lies ready and is read again. Otherwise everything
    /// in the stream now was added after the loss.
    async fn start_again(&mut self) -> Result<EntryId, CommandError> {
        let survived = self.stream_survived().await?;
        self.orphans.extend(self.inbox.group_lost(survived));
        let start = if survived {
            let taken = self.position.unwrap_or(EntryId::ZERO);
            let first = self.orphans.iter().map(|(id, _)| id.before()).min();
            first.map_or(taken, |first| taken.min(first))
        } else {
            self.orphans.clear();
            EntryId::ZERO
        };
        self.position = Some(start);
        self.recovery = None;
        self.ahead = false;
        Ok(start)
    }

    /// Takes into the group that somebody else made again what it will not give, since it began beyond it.
    async fn adopt(&mut self, given: Option<EntryId>) -> Result<(), CommandError> {
        self.orphans.retain(|(id, _)| given.is_none_or(|given| *id <= given));
        self.orphans.sort_by_key(|(id, attempt)| (*attempt, *id));
        while let Some((_, attempt)) = self.orphans.first().copied() {
            let ids: Vec<EntryId> = self
                .orphans
                .iter()
                .take(ADOPTED_AT_ONCE)
                .take_while(|(_, count)| *count == attempt)
                .map(|(id, _)| *id)
                .collect();
            let leased = Instant::now();
            let entries = self.commands.adopt(&self.member, &ids, attempt).await?;
            self.orphans.drain(..ids.len());
            self.hand_over(entries.into_iter().map(|entry| (entry, attempt)).collect(), leased).await;
        }
        Ok(())
    }

    async fn stream_survived(&self) -> Result<bool, CommandError> {
        let (Some(position), Some(last)) = (self.position, self.commands.last_generated_id().await?) else {
            return Ok(false);
        };
        if last < position {
            return Ok(false);
        }
        if let Some(found) = self.commands.entry(position).await? {
            // A stream that is made again within the same millisecond gives the same ids again.
            let known = self.newest.filter(|(newest, _)| *newest == position);
            return Ok(known.is_none_or(|(_, print)| print == fingerprint(&found)));
        }
        // Trimmed, or never there: if all that is left is newer, beginning after it or at zero is the same.
        let oldest = self.commands.entries_after(EntryId::ZERO, 1).await?;
        Ok(oldest.first().is_none_or(|oldest| oldest.id > position))
    }

    /// Gives back what nobody took, and the consumer's name if nothing is pending under it.
    pub(super) async fn leave(self) -> Result<()> {
        let left = timeout(LEAVING_PATIENCE, async {
            self.give_back().await?;
            if self.joined == Joined::Yes
                && let Err(error) = self.commands.leave(&self.member).await
            {
                debug!(%error, consumer = self.member.consumer, "the consumer's name stays in its group");
            }
            Ok(())
        });
        let outcome = left.await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Timeout,
                "close",
                "the server did not answer; events come back when leases end",
            ))
        });
        self.reads.link().quit().await;
        outcome
    }

    async fn give_back(&self) -> Result<()> {
        // Without a lease there is nothing to give back: the group that knew of it is gone.
        let ready = self.inbox.empty().into_iter().filter(|ready| ready.leased.is_some());
        let held: Vec<_> = ready.map(|ready| (ready.id, ready.attempt)).collect();
        if held.is_empty() {
            return Ok(());
        }
        let hold = Hold { idle: self.member.lease, uncount: true };
        match self.commands.hold(&self.member, hold, &held).await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Code::GroupLost => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
