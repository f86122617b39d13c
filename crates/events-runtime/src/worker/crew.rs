//! Runs handlers, several to a task, and tells what came of each.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, poll};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::context::Context;
use super::failure::Failure;
use super::handler::Outcome;
use super::held::Slot;
use super::router::Routes;
use super::trace::{self, MakeSpan};

/// The most handlers that begin in one task. More would make starting cheaper still, but a handler that computes for long
/// without ever waiting holds up those it shares the task with.
const MOST_TOGETHER: usize = 32;

/// One event to be handled.
pub(crate) struct Job {
    pub(crate) slot: Slot,
    pub(crate) context: Context,
}

/// What came of it.
pub(crate) type Done = (Slot, Outcome);

/// How handlers are run.
pub(crate) struct Method {
    pub(crate) routes: Routes,
    pub(crate) timeout: Option<Duration>,
    pub(crate) make_span: MakeSpan,
}

/// The tasks in which handlers run.
pub(crate) struct Crew {
    method: Arc<Method>,
    tasks: JoinSet<()>,
    parallel: usize,
    sender: UnboundedSender<Vec<Done>>,
    done: UnboundedReceiver<Vec<Done>>,
}

impl Crew {
    /// Called inside a runtime.
    pub(crate) fn new(method: Method) -> Self {
        let (sender, done) = unbounded_channel();
        let parallel = Handle::current().metrics().num_workers().max(1);
        Self { method: Arc::new(method), tasks: JoinSet::new(), parallel, sender, done }
    }

    pub(crate) fn start(&mut self, jobs: Vec<Job>) {
        while self.tasks.try_join_next().is_some() {}
        let together = jobs.len().div_ceil(self.parallel).clamp(1, MOST_TOGETHER);
        let mut jobs = jobs.into_iter().peekable();
        while jobs.peek().is_some() {
            let some: Vec<Job> = jobs.by_ref().take(together).collect();
            let reporter =
                Reporter { left: some.iter().map(|job| job.slot).collect(), sender: self.sender.clone() };
            self.tasks.spawn(run(Arc::clone(&self.method), some, reporter));
        }
    }

    /// Waits for outcomes.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn done(&mut self) -> Vec<Done> {
        let mut done = self.done.recv().await.unwrap_or_default();
        done.extend(self.done_now());
        done
    }

    /// The outcomes there are.
    pub(crate) fn done_now(&mut self) -> Vec<Done> {
        let mut done = Vec::new();
        while let Ok(more) = self.done.try_recv() {
            done.extend(more);
        }
        done
    }

    /// Drops all handlers where they wait, and waits, for at most `limit`, for those that do not.
    pub(crate) async fn abort(&mut self, limit: Duration) {
        self.tasks.abort_all();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, ended).await.is_err() {
            tracing::warn!("a handler that never waits goes on although the worker has stopped");
        }
    }
}

/// Reports outcomes, and for handlers whose task ends without one that they have none.
struct Reporter {
    left: Vec<Slot>,
    sender: UnboundedSender<Vec<Done>>,
}

impl Reporter {
    fn report(&mut self, done: Vec<Done>) {
        if self.left.len() == done.len() {
            self.left.clear();
        } else {
            self.left.retain(|slot| done.iter().all(|(ended, _)| ended != slot));
        }
        if !done.is_empty() {
            // Nobody asks any more once the worker is gone.
            self.sender.send(done).ok();
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        let cut = |slot| (slot, Err(Failure::from("the handler was cut short")));
        let done: Vec<Done> = std::mem::take(&mut self.left).into_iter().map(cut).collect();
        self.report(done);
    }
}

/// Starts the handlers one after the other, and waits for those that have to wait.
async fn run(method: Arc<Method>, jobs: Vec<Job>, mut reporter: Reporter) {
    let mut done = Vec::with_capacity(jobs.len());
    let mut waiting = FuturesUnordered::new();
    for job in jobs {
        // A handler that has nothing to wait for is done here, at the cost of one poll.
        let mut handling = handle(&method, job);
        match poll!(&mut handling) {
            Poll::Ready(ended) => done.push(ended),
            Poll::Pending => waiting.push(handling),
        }
    }
    reporter.report(done);
    while let Some(ended) = waiting.next().await {
        reporter.report(vec![ended]);
    }
}

/// Handles one event: inside its span and the scope of its trace, within the time it has, and whatever the handler does.
fn handle(method: &Arc<Method>, Job { slot, context }: Job) -> BoxFuture<'static, Done> {
    let method = Arc::clone(method);
    Box::pin(async move {
        let span = (method.make_span)(&context);
        let scope = trace::scope(&context);
        let timeout = method.timeout;
        let timed = async move {
            let mut handled = method.routes.handle(context);
            // Most handlers that do not wait need no timer, and a timer costs more than many of them.
            match (poll!(&mut handled), timeout) {
                (Poll::Ready(outcome), _) => outcome,
                (Poll::Pending, None) => handled.await,
                (Poll::Pending, Some(timeout)) => tokio::time::timeout(timeout, handled)
                    .await
                    .unwrap_or_else(|_| Err(format!("the handler took longer than {timeout:?}").into())),
            }
        };
        let caught = AssertUnwindSafe(timed).catch_unwind();
        let outcome = match (scope, span.is_disabled()) {
            (Some(scope), _) => scope.run(caught).instrument(span).await,
            (None, true) => caught.await,
            (None, false) => caught.instrument(span).await,
        };
        (slot, outcome.unwrap_or_else(|panic| Err(Failure::panicked(&*panic))))
    })
}
