//! What a handle asks the sending thread for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout_at};

use super::shared::Shared;
use super::stats::ManagerStats;

/// A day; longer deadlines are cut to it, since an instant cannot hold all of them.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Somebody who waits for what was published up to now to be out of memory.
pub(crate) struct Request {
    /// How long to wait.
    pub(crate) deadline: Duration,
    /// Whether the manager ends then.
    pub(crate) close: bool,
    pub(crate) reply: Box<dyn FnOnce(ManagerStats) + Send>,
}

/// Answers requests beside the sending, so that neither waits for the other.
pub(crate) async fn answer(mut requests: UnboundedReceiver<Request>, shared: Arc<Shared>) {
    while let Some(request) = requests.recv().await {
        let deadline = Instant::now() + request.deadline.min(LONGEST);
        let mut settled = shared.settled.subscribe();
        let mark = match request.close {
            // Closing waits for the thread to finish, which it does at the deadline at the latest.
            true => {
                shared.close(deadline);
                u64::MAX
            }
            false => shared.queue.mark(),
        };
        shared.queue.nudge();
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let wait_until = if request.close { deadline + LONGEST } else { deadline };
            // Too late or not, the answer is how things stand.
            drop(timeout_at(wait_until, settled.wait_for(|settled| *settled >= mark)).await);
            let stats = shared.counters.stats();
            // Whoever counts knows no less than whoever asked.
            shared.observer.tell(&stats);
            (request.reply)(stats);
        });
    }
}
