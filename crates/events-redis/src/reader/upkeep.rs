//! Keeping leases: of events that wait to be handed over, and of those that stay hidden for longer than a lease.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::{Joined, Reader};
use crate::agenda::Kept;
use crate::client::{Code, CommandError, Held, Hold};
use crate::entry_id::EntryId;

/// The lease begins anew.
const ANEW: Hold = Hold { idle: Duration::ZERO, uncount: false };

impl Reader {
    /// When leases must be looked after; a third of a lease leaves time for two failures.
    pub(super) fn next_upkeep(&self) -> Option<Instant> {
        let third = self.member.lease / 3;
        let waiting = self.inbox.oldest_lease().map(|since| since + third);
        let kept = self.agenda.keeps_any().then(|| self.upkeep_after + self.member.lease / 8);
        let next = [waiting, kept].into_iter().flatten().min()?;
        Some(next.max(self.upkeep_after))
    }

    pub(super) fn upkeep_is_due(&self) -> bool {
        self.next_upkeep().is_some_and(|at| at <= Instant::now())
    }

    /// Looks after every lease that has run for a third of its time. When that fails it is tried again soon, and if it
    /// fails for too long the server gives the entries to others, as it should.
    pub(super) async fn upkeep(&mut self) {
        let third = self.member.lease / 3;
        let waiting = if self.inbox.oldest_lease().is_some_and(|since| since.elapsed() >= third) {
            self.refresh().await
        } else {
            Ok(())
        };
        let outcome = match waiting {
            Ok(()) => self.keep_hidden().await,
            failed => failed,
        };
        self.upkeep_after = Instant::now();
        if let Err(error) = outcome {
            warn!(%error, "leases could not be kept");
            self.upkeep_after += (third / 4).max(Duration::from_millis(20));
        }
    }

    /// Begins the leases of what lies ready anew, and lets go of what another consumer was given meanwhile. A
    /// group that is gone, or was made again by another, is joined first.
    pub(super) async fn refresh(&mut self) -> Result<(), CommandError> {
        let entries = self.inbox.refresh();
        let now = Instant::now();
        let outcome = self.commands.hold(&self.member, ANEW, &entries).await;
        match outcome {
            Ok(held) if held.contains(&false) && !self.is_member().await => {
                self.inbox.refreshed(&entries, None);
                self.joined = Joined::Lost;
                self.join().await
            }
            Ok(held) => {
                self.inbox.refreshed(&entries, Some((held, now)));
                Ok(())
            }
            Err(error) => {
                self.inbox.refreshed(&entries, None);
                if error.code() != Code::GroupLost {
                    return Err(error);
                }
                self.joined = Joined::Lost;
                self.join().await
            }
        }
    }

    /// Whether the group knows this consumer, as far as it may be asked. One that held something and is unknown is in
    /// another group of the same name.
    async fn is_member(&self) -> bool {
        let known = self.commands.has_consumer(&self.member.group, &self.member.consumer).await;
        known.unwrap_or(true)
    }

    /// Keeps hidden what shall be hidden for longer than a lease, and lets it go when less than a lease is left.
    async fn keep_hidden(&self) -> Result<(), CommandError> {
        if !self.agenda.keeps_any() {
            return Ok(());
        }
        let lease = self.member.lease;
        let now = Instant::now();
        let mut kept = self.agenda.kept().await;
        let is_last = |kept: &Kept| kept.until.saturating_duration_since(now) <= lease;
        let last: Vec<(EntryId, Kept)> =
            kept.iter().filter(|(_, kept)| is_last(kept)).map(|(id, kept)| (*id, *kept)).collect();
        for (id, last) in last {
            let left = last.until.saturating_duration_since(now);
            let hold = Hold { idle: lease.saturating_sub(left), uncount: false };
            let held = self.commands.hold(&self.member, hold, &[(id, last.attempt)]).await?;
            kept.remove(&id);
            if last.retry && held.first() == Some(&true) {
                self.agenda.retry_at(last.until, [id]);
            }
        }
        let told_long_ago = |kept: &&mut Kept| now.saturating_duration_since(kept.told) >= lease / 3;
        let again: Vec<Held> = kept
            .iter_mut()
            .map(|(id, kept)| (*id, kept))
            .filter(|(_, kept)| told_long_ago(kept))
            .map(|(id, kept)| (id, kept.attempt))
            .collect();
        if !again.is_empty() {
            let held = self.commands.hold(&self.member, ANEW, &again).await?;
            for ((id, _), held) in again.into_iter().zip(held) {
                match kept.get_mut(&id) {
                    Some(kept) if held => kept.told = now,
                    // Settled by another holder, or given to one.
                    _ => drop(kept.remove(&id)),
                }
            }
        }
        self.agenda.recount(&kept);
        Ok(())
    }
}
