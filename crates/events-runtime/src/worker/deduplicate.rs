//! Handles an event once, though it is delivered again.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use events_core::{SeenStore, async_trait};

use super::context::Context;
use super::handler::Outcome;
use super::middleware::{Middleware, Next};

/// Handles an event once, though it is delivered again: by its [id](events_core::Event::id), among the last so many.
///
/// What was handled is acknowledged and not handled again. An event that arrives while another of its id is being handled
/// waits for the outcome. Events without an id pass. The memory is this process's; a [`SeenStore`], on the broker or anywhere
/// else, makes it last longer and reach further.
#[derive(Debug)]
pub struct Deduplicate {
    window: Mutex<Window>,
    store: Option<Arc<dyn SeenStore>>,
}

/// Whether an event was handled; locked while it is being handled.
type Seen = Arc<tokio::sync::Mutex<bool>>;

#[derive(Debug)]
struct Window {
    capacity: NonZeroUsize,
    seen: HashMap<Arc<str>, Seen>,
    oldest_first: VecDeque<Arc<str>>,
}

impl Window {
    fn entry(&mut self, id: &str) -> Seen {
        if let Some(seen) = self.seen.get(id) {
            return Arc::clone(seen);
        }
        if self.oldest_first.len() >= self.capacity.get()
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.seen.remove(&oldest);
        }
        let (id, seen) = (Arc::<str>::from(id), Seen::default());
        self.seen.insert(Arc::clone(&id), Arc::clone(&seen));
        self.oldest_first.push_back(id);
        seen
    }
}

impl Deduplicate {
    /// Remembers the ids of the last `window` events.
    pub fn new(window: NonZeroUsize) -> Self {
        let window = Window { capacity: window, seen: HashMap::new(), oldest_first: VecDeque::new() };
        Self { window: Mutex::new(window), store: None }
    }

    /// Asks `store` about ids that are not in the window, and tells it what was handled.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn SeenStore>) -> Self {
        self.store = Some(store);
        self
    }
}

#[async_trait]
impl Middleware for Deduplicate {
    async fn handle(&self, context: Context, next: Next<'_>) -> Outcome {
        let event = context.shared_event();
        let Some(id) = event.id() else { return next.run(context).await };
        let entry = self.window.lock().unwrap_or_else(PoisonError::into_inner).entry(id);
        let mut seen = entry.lock().await;
        if !*seen && let Some(store) = &self.store {
            *seen = store.is_seen(id).await?;
        }
        if *seen {
            tracing::debug!(event_id = id, "the event was handled before");
            return Ok(());
        }
        next.run(context).await?;
        *seen = true;
        if let Some(store) = &self.store
            && let Err(error) = store.remember(id).await
        {
            tracing::warn!(%error, event_id = id, "a handled event could not be remembered");
        }
        Ok(())
    }
}
