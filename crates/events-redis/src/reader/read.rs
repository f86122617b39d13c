//! Reading new entries, without ever letting go of a read that was sent.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
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

/// A read that was sent, or is with the first look at its answer; it must be awaited to its end.
pub(super) struct SentRead {
    count: usize,
    block: Option<Duration>,
    since: Instant,
    /// Never locked: a future cannot be shared between threads, and what holds it must be.
    answer: Mutex<Answer>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Vec<(Entry, u32)>, CommandError>> + Send>>;

impl SentRead {
    fn answer(&mut self) -> &mut Answer {
        self.answer.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SentRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, block, since, .. } = self;
        f.debug_struct("SentRead").field("count", count).field("block", block).field("since", since).finish()
    }
}

impl Reader {
    /// Reads up to `count` entries, new ones and where the server can do that expired ones, waiting up to `block` for the
    /// first, and hands them over.
    pub(super) async fn read(
        &mut self,
        count: usize,
        block: Option<Duration>,
        demand: Option<&Demand>,
    ) -> Result<(), CommandError> {
        let read = self.send(count, block);
        self.finish(read, demand).await
    }

    /// A read, to be sent when its answer is first asked for.
    fn send(&self, count: usize, block: Option<Duration>) -> SentRead {
        let answer = Box::pin(self.reads.read_group(&self.member, count, block));
        SentRead { count, block, since: Instant::now(), answer: Mutex::new(answer) }
    }

    /// Awaits a read to its end and hands over what came.
    pub(super) async fn finish(
        &mut self,
        mut read: SentRead,
        demand: Option<&Demand>,
    ) -> Result<(), CommandError> {
        let answer = self.await_answer(&mut read, demand).await;
        self.commands.set_reads_claim(self.reads.claims());
        let entries = match answer {
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
            self.read_to_end = Some(read.since);
            return Ok(());
        }
        self.ahead = entries.len() == read.count && read.count >= READ_AHEAD_FROM;
        self.inbox.want_room(self.ahead);
        if self.is_ahead_worth_it(entries.len()) {
            self.ahead = false;
            self.send_ahead();
        }
        self.hand_over(entries, read.since).await;
        Ok(())
    }

    /// Sends the next read, so that the server works on it while what came is decoded.
    fn send_ahead(&mut self) {
        let mut read = self.send(self.ahead_at_once(), None);
        // Looked at once, it is on its way; whether it has ended already is seen when it is awaited.
        if let Some(answer) = read.answer().now_or_never() {
            *read.answer() = Box::pin(ready(answer));
        }
        self.on_its_way = Some(read);
    }

    async fn await_answer(
        &mut self,
        read: &mut SentRead,
        demand: Option<&Demand>,
    ) -> Result<Vec<(Entry, u32)>, CommandError> {
        let patience = read.block.unwrap_or_default() + self.overdue;
        let mut overdue_at = Instant::now() + patience;
        let mut failed = None;
        let mut stopped = false;
        let mut unblock = None;
        loop {
            let next = self.next_deed(demand);
            tokio::select! {
                biased;
                answer = read.answer() => return failed.map_or(answer, Err),
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
                if read.block.is_some() {
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
