//! Runs handlers, several to a task, and tells what came of each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{self, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tracing::{Instrument, Span};

use super::context::Context;
use super::failure::Failure;
use super::handler::Outcome;
use super::held::Slot;
use super::router::Routes;
use super::trace::{self, MakeSpan};
use crate::HeaderScope;

/// The most handlers that begin in one task. More would make starting cheaper still, but a handler that computes for long
/// without ever waiting holds up those it shares the task with.
const MOST_TOGETHER: usize = 32;

/// Handlers that compute for no longer than this before they wait or end are begun by the worker itself: a task for them
/// would cost more than they do.
const QUICK: Duration = Duration::from_micros(10);

/// How many are begun by the worker before it looks at the clock again.
const BETWEEN_LOOKS: usize = 16;

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

/// The handlers at work.
pub(crate) struct Crew {
    method: Arc<Method>,
    /// Whether the handlers that began last were [`QUICK`]; written wherever handlers begin.
    quick: Arc<AtomicBool>,
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
        Self {
            method: Arc::new(method),
            quick: Arc::default(),
            tasks: JoinSet::new(),
            parallel,
            sender,
            done,
        }
    }

    /// Starts handlers, and returns what came of those that have ended already.
    pub(crate) fn start(&mut self, jobs: Vec<Job>) -> Vec<Done> {
        while self.tasks.try_join_next().is_some() {}
        let (mut done, mut waiting) = (Vec::new(), Vec::new());
        let mut jobs = jobs.into_iter().peekable();
        while jobs.peek().is_some() && self.quick.load(Ordering::Relaxed) {
            let some = jobs.by_ref().take(BETWEEN_LOOKS).map(Task::New);
            begin(&self.method, &self.quick, some, &mut done, &mut waiting);
        }
        let waiting = waiting.into_iter().map(Task::Begun);
        self.spawn(waiting.chain(jobs.map(Task::New)).collect());
        done
    }

    /// Spreads the work over tasks.
    fn spawn(&mut self, work: Vec<Task>) {
        let together = work.len().div_ceil(self.parallel).clamp(1, MOST_TOGETHER);
        let mut work = work.into_iter().peekable();
        while work.peek().is_some() {
            let some: Vec<Task> = work.by_ref().take(together).collect();
            let left = some.iter().map(Task::slot).collect();
            let reporter = Reporter { left, sender: self.sender.clone() };
            self.tasks.spawn(run(Arc::clone(&self.method), Arc::clone(&self.quick), some, reporter));
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

/// A handler to be seen through.
enum Task {
    New(Job),
    Begun(Begun),
}

impl Task {
    fn slot(&self) -> Slot {
        match self {
            Self::New(job) => job.slot,
            Self::Begun(begun) => begun.slot,
        }
    }
}

/// A handler that has to wait for something.
struct Begun {
    slot: Slot,
    handled: BoxFuture<'static, Outcome>,
    span: Span,
    scope: Option<HeaderScope>,
}

/// Starts the handlers one after the other, and waits for those that have to wait.
async fn run(method: Arc<Method>, quick: Arc<AtomicBool>, work: Vec<Task>, mut reporter: Reporter) {
    let (mut done, mut begun) = (Vec::new(), Vec::new());
    begin(&method, &quick, work.into_iter(), &mut done, &mut begun);
    reporter.report(done);
    let mut waiting: FuturesUnordered<_> =
        begun.into_iter().map(|begun| go_on(begun, method.timeout)).collect();
    while let Some(ended) = waiting.next().await {
        reporter.report(vec![ended]);
    }
}

/// Begins to handle events, and notes how long that took. Most handlers that do not wait are done then, at the cost of
/// one poll: without a task, a timer and a span that follows them.
fn begin(
    method: &Method,
    quick: &AtomicBool,
    work: impl ExactSizeIterator<Item = Task>,
    done: &mut Vec<Done>,
    waiting: &mut Vec<Begun>,
) {
    let started = Instant::now();
    let enough = QUICK * u32::try_from(work.len()).unwrap_or(u32::MAX);
    for task in work {
        let begun = match task {
            Task::Begun(begun) => Err(begun),
            Task::New(job) => begin_one(method, job),
        };
        match begun {
            Ok(ended) => done.push(ended),
            Err(begun) => waiting.push(begun),
        }
    }
    quick.store(started.elapsed() <= enough, Ordering::Relaxed);
}

/// Polls a handler once, inside its span and the scope of its trace, and whatever the handler does.
fn begin_one(method: &Method, Job { slot, context }: Job) -> Result<Done, Begun> {
    let span = (method.make_span)(&context);
    let scope = trace::scope(&context);
    let poll = || {
        let mut handled = method.routes.handle(context);
        // Nobody has to be woken by this poll: who has to wait is polled again, by the task that waits for it.
        let polled = handled.poll_unpin(&mut task::Context::from_waker(Waker::noop()));
        (polled, handled)
    };
    let polled = catch_unwind(AssertUnwindSafe(|| {
        let _entered = span.enter();
        match &scope {
            Some(scope) => scope.clone().run_sync(poll),
            None => poll(),
        }
    }));
    match polled {
        Ok((Poll::Ready(outcome), _)) => Ok((slot, outcome)),
        Ok((Poll::Pending, handled)) => Err(Begun { slot, handled, span, scope }),
        Err(panic) => Ok((slot, Err(Failure::panicked(&*panic)))),
    }
}

/// Sees a handler through that has begun, within the time it has.
async fn go_on(Begun { slot, handled, span, scope }: Begun, timeout: Option<Duration>) -> Done {
    let caught = AssertUnwindSafe(handled).catch_unwind();
    let timed = async move {
        let Some(timeout) = timeout else { return caught.await };
        let late = |_| Ok(Err(format!("the handler took longer than {timeout:?}").into()));
        tokio::time::timeout(timeout, caught).await.unwrap_or_else(late)
    };
    let outcome = match scope {
        Some(scope) => scope.run(timed).instrument(span).await,
        None => timed.instrument(span).await,
    };
    (slot, outcome.unwrap_or_else(|panic| Err(Failure::panicked(&*panic))))
}
