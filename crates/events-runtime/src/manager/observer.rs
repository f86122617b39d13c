//! Who is told now and then how a manager stands, so that it can be counted elsewhere.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::Duration;

use super::shared::Shared;
use super::stats::ManagerStats;

/// How often it is told.
const EVERY: Duration = Duration::from_secs(1);

/// Told how things stand.
pub(crate) type Observe = Box<dyn FnMut(&ManagerStats) + Send>;

/// Whoever wants to know how a manager stands; nobody by default.
#[derive(Default)]
pub(crate) struct Observer(Mutex<Option<Observe>>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

impl Observer {
    pub(crate) fn new(observe: Option<Observe>) -> Self {
        Self(Mutex::new(observe))
    }

    fn is_anybody(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Tells it; one that panics is told no more.
    pub(crate) fn tell(&self, stats: &ManagerStats) {
        tell(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), stats);
    }

    /// Tells it unless it is being told: for whoever must not wait, and may be the one who is told.
    pub(crate) fn try_tell(&self, stats: &ManagerStats) {
        match self.0.try_lock() {
            Ok(mut observe) => tell(&mut observe, stats),
            Err(TryLockError::Poisoned(poisoned)) => tell(&mut poisoned.into_inner(), stats),
            Err(TryLockError::WouldBlock) => {}
        }
    }
}

fn tell(observe: &mut Option<Observe>, stats: &ManagerStats) {
    if let Some(told) = observe.as_mut()
        && catch_unwind(AssertUnwindSafe(|| told(stats))).is_err()
    {
        tracing::error!("whoever is told how the event manager stands has panicked, and is told no more");
        *observe = None;
    }
}

/// Tells how things stand again and again.
pub(crate) async fn keep_telling(shared: &Shared) {
    while shared.observer.is_anybody() {
        shared.observer.tell(&shared.counters.stats());
        tokio::time::sleep(EVERY).await;
    }
    std::future::pending::<()>().await;
}
