//! Reading new entries, without ever letting go of a read that was sent.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

use super::takeover::Recovery;
use super::{READ_AHEAD_FROM, Reader};
use crate::client::{Code, CommandError, Entry};
use crate::inbox::Demand;

/// How long closing waits for the end of a read it has unblocked.
const CLOSING_PATIENCE: Duration = Duration::from_secs(2);

/// When a read that was unblocked and goes on is unblocked again: soon, since it takes events that others wait for, and
/// then after twice the time.
const UNBLOCK_AGAIN: Duration = Duration::from_millis(5);

impl Reader {
    /// Reads up to `count` entries, new ones and where the server can do that expired ones, waiting up to `block` for the
    /// first, and hands them over.
    pub(super) async fn read(
        &mut self,
        count: usize,
        block: Option<Duration>,
        demand: Option<&Demand>,
    ) -> Result<(), CommandError> {
        let sent = Instant::now();
        let read = self.read_entries(count, block, demand).await;
        self.commands.set_reads_claim(self.reads.claims());
        let entries = match read {
            Ok(entries) => entries,
            // Somebody else's CLIENT UNBLOCK: nothing came.
            Err(error) if error.code() == Code::Unblocked => Vec::new(),
            Err(error) => {
                if error.code() != Code::GroupLost {
                    // The answer may have been on its way, with entries that are now pending under our name.
                    self.recovery.get_or_insert(Recovery::of_lost_answer(self.position));
                }
                return Err(error);
            }
        };
        if entries.is_empty() {
            self.read_to_end = Some(sent);
            return Ok(());
        }
        self.ahead = entries.len() == count && count >= READ_AHEAD_FROM;
        self.hand_over(entries, sent).await;
        Ok(())
    }

    async fn read_entries(
        &mut self,
        count: usize,
        block: Option<Duration>,
        demand: Option<&Demand>,
    ) -> Result<Vec<(Entry, u32)>, CommandError> {
        let patience = block.unwrap_or_default() + self.overdue;
        let mut overdue_at = Instant::now() + patience;
        let mut read = Box::pin(self.reads.read_group(&self.member, count, block));
        let mut failed = None;
        let mut stopped = false;
        let mut unblock = None;
        loop {
            let next = self.next_deed(demand);
            tokio::select! {
                biased;
                answer = &mut read => return failed.map_or(answer, Err),
                () = sleep_until(overdue_at) => {
                    if self.inbox.is_closed() {
                        return Err(CommandError::unreadable("XREADGROUP", self.commands.stream_key()));
                    }
                    warn!(?patience, "a read is overdue; its connection is replaced");
                    self.reads.reconnect();
                    overdue_at = Instant::now() + patience;
                }
                () = self.inbox.rung() => {}
                () = sleep_until(unblock.map_or(overdue_at, |(at, _)| at)), if unblock.is_some() => {
                    unblock = self.unblock(unblock).await;
                }
                () = sleep_until(next), if !stopped => {
                    if let Err(error) = self.do_deeds(demand).await {
                        failed = Some(error);
                    }
                }
            }
            let wanted = demand.is_none_or(|demand| self.inbox.still_wanted(demand));
            let closed = self.inbox.is_closed();
            if !stopped && (failed.is_some() || !wanted || closed) {
                stopped = true;
                if block.is_some() {
                    unblock = self.unblock(None).await;
                }
                if closed {
                    overdue_at = overdue_at.min(Instant::now() + CLOSING_PATIENCE);
                }
            }
        }
    }

    /// Unblocks the read, and returns when to do that again after which pause, if it goes on.
    async fn unblock(&self, last: Option<(Instant, Duration)>) -> Option<(Instant, Duration)> {
        let pause = last.map_or(UNBLOCK_AGAIN, |(_, pause)| pause * 2);
        let again = timeout(CLOSING_PATIENCE, self.reads.unblock()).await.unwrap_or(true);
        again.then(|| (Instant::now() + pause, pause))
    }

    /// When something must be done while a read is waited for.
    fn next_deed(&self, demand: Option<&Demand>) -> Instant {
        let looking =
            demand.map(|_| self.agenda.next_retry().map_or(self.scan.due(), |at| at.min(self.scan.due())));
        let far = Instant::now() + crate::inbox::FOREVER;
        [self.next_upkeep(), looking].into_iter().flatten().min().unwrap_or(far)
    }

    async fn do_deeds(&mut self, demand: Option<&Demand>) -> Result<(), CommandError> {
        if self.upkeep_is_due() {
            self.upkeep().await;
        }
        let Some(demand) = demand else { return Ok(()) };
        if self.agenda.next_retry().is_some_and(|at| at <= Instant::now()) {
            self.retry(demand.max).await?;
        }
        if self.scan.is_due() && !self.inbox.has_ready() {
            self.scan(demand.max).await?;
        }
        Ok(())
    }
}
