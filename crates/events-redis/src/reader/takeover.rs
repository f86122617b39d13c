//! Taking entries that were delivered before: those of lost answers, those that were given back, those whose lease has
//! ended.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::Reader;
use crate::client::{CommandError, Entry, PendingFilter};
use crate::entry_id::EntryId;

/// How many pending entries are asked for at once when only their counts are wanted.
const COUNTS_AT_ONCE: usize = 1_000;

/// The time between two looks for pending entries that the stream no longer holds, where that is all they are for.
/// Nobody waits for those: they only count as pending.
const CLEARING_INTERVAL: Duration = Duration::from_secs(60);

/// Going through the own pending entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovery {
    /// Looked at so far.
    after: Option<EntryId>,
    /// Whether somebody was given them: then this is another delivery.
    delivered: bool,
}

impl Recovery {
    /// What a process before this one, of the same name, held when it ended.
    pub(super) fn of_former_process() -> Self {
        Self { after: None, delivered: true }
    }

    /// What the server gave to a read whose answer never came: newer than anything taken before, and seen by nobody.
    pub(super) fn of_lost_answer(position: Option<EntryId>) -> Self {
        Self { after: position, delivered: false }
    }
}

/// Going through the pending entries of the whole group, page by page, again and again: for entries whose lease has
/// ended, unless reads take those along, and for entries that the stream no longer holds, which no read tells of.
#[derive(Debug)]
pub(super) struct Scan {
    next: EntryId,
    began: Instant,
    /// When the last one that went through everything began.
    complete: Option<Instant>,
    due: Instant,
    interval: Duration,
}

impl Scan {
    pub(super) fn new(interval: Duration) -> Self {
        let now = Instant::now();
        // The first is made when there is nothing new to read.
        Self { next: EntryId::ZERO, began: now, complete: None, due: now + interval, interval }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    pub(super) fn is_older_than(&self, since: Instant) -> bool {
        self.complete.is_none_or(|complete| complete < since)
    }

    pub(super) fn was_made(&self) -> bool {
        self.complete.is_some()
    }

    fn page_from(&mut self) -> EntryId {
        if self.next == EntryId::ZERO {
            self.began = Instant::now();
        }
        self.next
    }

    fn page_done(&mut self, next: EntryId, reads_claim: bool) {
        self.next = next;
        if next == EntryId::ZERO {
            self.complete = Some(self.began);
            self.due = Instant::now() + if reads_claim { CLEARING_INTERVAL } else { self.interval };
        }
    }
}

impl Reader {
    /// Takes one page of the own pending entries, which come before anything new.
    pub(super) async fn recover(&mut self, max: usize) -> Result<(), CommandError> {
        let Some(recovery) = self.recovery else { return Ok(()) };
        let now = Instant::now();
        let filter = PendingFilter {
            consumer: Some(&self.member.consumer),
            after: recovery.after,
            ..PendingFilter::default()
        };
        let page = self.commands.pending(&self.member.group, filter, max).await?;
        let Some(last) = page.last() else {
            self.recovery = None;
            return Ok(());
        };
        // Claiming by count lets the server's count say what is true, whatever it was before.
        let mut by_count: BTreeMap<u32, Vec<EntryId>> = BTreeMap::new();
        for pending in &page {
            let attempt = if recovery.delivered { pending.count.saturating_add(1) } else { pending.count };
            by_count.entry(attempt).or_default().push(pending.id);
        }
        let mut taken = Vec::with_capacity(page.len());
        for (attempt, ids) in by_count {
            let entries = self.commands.claim(&self.member, Duration::ZERO, &ids, Some(attempt)).await?;
            self.clear_gone(&ids, &entries).await?;
            taken.extend(entries.into_iter().map(|entry| (entry, attempt)));
        }
        taken.sort_by_key(|(entry, _)| entry.id);
        self.recovery = Some(Recovery { after: Some(last.id), ..recovery });
        self.hand_over(taken, now).await;
        Ok(())
    }

    /// Takes entries again that this consumer gave back and that are due.
    pub(super) async fn retry(&mut self, max: usize) -> Result<(), CommandError> {
        let due = self.agenda.due(max);
        let ids: Vec<EntryId> = due.iter().map(|(_, id)| *id).collect();
        let now = Instant::now();
        // Only what is idle for a lease: another consumer may have taken it first.
        let entries = self.commands.claim(&self.member, self.member.lease, &ids, None).await?;
        self.agenda.done(&due);
        self.hand_over_claimed(entries, now).await
    }

    /// Looks through the pending entries of the group until some are found whose lease has ended, or to the end.
    pub(super) async fn scan(&mut self, max: usize) -> Result<(), CommandError> {
        while !self.inbox.is_closed() {
            let from = self.scan.page_from();
            let now = Instant::now();
            let page = self.commands.claim_expired(&self.member, from, max).await?;
            self.scan.page_done(page.next, self.reads.claims());
            if page.gone > 0 {
                self.report_gone(page.gone);
            }
            if page.gone_pending {
                self.clear_gone_pending().await?;
            }
            if !page.entries.is_empty() {
                return self.hand_over_claimed(page.entries, now).await;
            }
            if page.next == EntryId::ZERO {
                break;
            }
        }
        Ok(())
    }

    /// Hands over entries that were just taken; the server knows how often each was delivered.
    async fn hand_over_claimed(&mut self, entries: Vec<Entry>, leased: Instant) -> Result<(), CommandError> {
        let mut ids = entries.iter().map(|entry| entry.id);
        let Some(first) = ids.next() else { return Ok(()) };
        let (first, last) = ids.fold((first, first), |(low, high), id| (low.min(id), high.max(id)));
        let mut counts = HashMap::new();
        let mut after = first.before();
        loop {
            let filter = PendingFilter {
                consumer: Some(&self.member.consumer),
                after: Some(after),
                up_to: Some(last),
                ..PendingFilter::default()
            };
            let page = self.commands.pending(&self.member.group, filter, COUNTS_AT_ONCE).await?;
            counts.extend(page.iter().map(|pending| (pending.id, pending.count)));
            match page.last() {
                Some(pending) if page.len() == COUNTS_AT_ONCE => after = pending.id,
                _ => break,
            }
        }
        // What is missing was acknowledged in between, by a holder that came too late.
        let counted =
            entries.into_iter().filter_map(|entry| counts.get(&entry.id).map(|count| (entry, *count)));
        self.hand_over(counted.collect(), leased).await;
        Ok(())
    }

    /// Acknowledges pending entries that the stream no longer holds.
    async fn clear_gone(&self, ids: &[EntryId], entries: &[Entry]) -> Result<(), CommandError> {
        let gone = ids.iter().filter(|id| !entries.iter().any(|entry| entry.id == **id));
        let gone: Vec<String> = gone.map(EntryId::to_string).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.report_gone(gone.len());
        self.commands.ack(&self.member.group, gone).await
    }

    /// Before 7.0 a claim does not say which of the entries it took are gone, so each own one is looked up.
    async fn clear_gone_pending(&self) -> Result<(), CommandError> {
        let mut after = None;
        loop {
            let filter =
                PendingFilter { consumer: Some(&self.member.consumer), after, ..PendingFilter::default() };
            let page = self.commands.pending(&self.member.group, filter, COUNTS_AT_ONCE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            let mut gone = Vec::new();
            for pending in &page {
                if self.commands.entry(pending.id).await?.is_none() {
                    gone.push(pending.id.to_string());
                }
            }
            if !gone.is_empty() {
                self.commands.ack(&self.member.group, gone).await?;
            }
        }
    }

    fn report_gone(&self, gone: usize) {
        let stream = self.commands.stream_key().as_ref();
        warn!(
            stream,
            group = self.member.group,
            gone,
            "pending events were trimmed from the stream and are lost"
        );
    }
}
