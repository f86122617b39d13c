//! `Agenda`: what a consumer has promised to do later: take nacked events again, and keep leases that are longer than
//! the server knows.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::MutexGuard as AsyncMutexGuard;
use tokio::time::Instant;

use crate::entry_id::EntryId;

/// What a consumer has promised to do later.
///
/// Both are accelerators: when the process ends, the entries are the server's to give away, at the latest a lease on.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    retries: Mutex<BTreeSet<(Instant, EntryId)>>,
    kept: tokio::sync::Mutex<HashMap<EntryId, Kept>>,
    /// How many are kept, so that settling looks no further as long as there are none.
    kept_count: AtomicUsize,
}

/// An entry that stays hidden for longer than the group's lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) attempt: u32,
    pub(crate) until: Instant,
    /// When the server was last told.
    pub(crate) told: Instant,
    /// Whether this consumer wants it back at once then.
    pub(crate) retry: bool,
}

impl Agenda {
    fn retries(&self) -> MutexGuard<'_, BTreeSet<(Instant, EntryId)>> {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that entries may be taken again from `at` on.
    pub(crate) fn retry_at(&self, at: Instant, ids: impl IntoIterator<Item = EntryId>) {
        self.retries().extend(ids.into_iter().map(|id| (at, id)));
    }

    /// When the next entry may be taken again.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.retries().first().map(|(at, _)| *at)
    }

    /// Up to `max` entries that may be taken now; they stay noted until [`done`](Self::done).
    pub(crate) fn due(&self, max: usize) -> Vec<(Instant, EntryId)> {
        let now = Instant::now();
        self.retries().iter().take_while(|(at, _)| *at <= now).take(max).copied().collect()
    }

    pub(crate) fn done(&self, retries: &[(Instant, EntryId)]) {
        let mut noted = self.retries();
        for retry in retries {
            noted.remove(retry);
        }
    }

    /// Keeps entries hidden until their time. The guard is held while the server is told, so that what is settled
    /// meanwhile is settled after.
    pub(crate) async fn keep(&self, kept: impl IntoIterator<Item = (EntryId, Kept)>) {
        let mut all = self.kept.lock().await;
        all.extend(kept);
        self.kept_count.store(all.len(), Ordering::Release);
    }

    /// Keeps these entries no longer.
    pub(crate) async fn forget(&self, ids: impl IntoIterator<Item = EntryId>) {
        if self.kept_count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut all = self.kept.lock().await;
        for id in ids {
            all.remove(&id);
        }
        self.kept_count.store(all.len(), Ordering::Release);
    }

    /// Whether anything is kept at all.
    pub(crate) fn keeps_any(&self) -> bool {
        self.kept_count.load(Ordering::Acquire) > 0
    }

    /// All that is kept; [`recount`](Self::recount) follows a change.
    pub(crate) async fn kept(&self) -> AsyncMutexGuard<'_, HashMap<EntryId, Kept>> {
        self.kept.lock().await
    }

    pub(crate) fn recount(&self, kept: &HashMap<EntryId, Kept>) {
        self.kept_count.store(kept.len(), Ordering::Release);
    }
}
