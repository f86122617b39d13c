//! `Gate`: single events that are published at the same time go out together.
//!
//! What a command costs is mostly its way through the client, so sixty-four events in one are many times faster than in
//! sixty-four. Nobody waits for company: an event that meets no other is sent at once, by whoever publishes it. Those that
//! come while it is on its way are sent by a task of their own, together, as soon as it runs.
//!
//! Many callers that await their events are kept in two halves, each with a command of its own: while the server works on
//! one, the callers of the other are told and come with their next events. With one command for all of them server and
//! callers would wait for each other in turns.

use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events_core::MessageId;
use futures_util::FutureExt;
use futures_util::stream::{FuturesOrdered, StreamExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use crate::client::{CommandError, NewEntry};
use crate::outlet::Outlet;
use crate::publisher::{BYTES_IN_ONE_COMMAND, EVENTS_IN_ONE_COMMAND};

type Outcome = Result<MessageId, CommandError>;

/// From how many events on those that wait together are sent as two commands: a smaller half costs more than it gains.
const HALVED_FROM: usize = 16;

/// How many commands are on their way at once.
const COMMANDS_ON_THEIR_WAY: usize = 2;

/// Single events that are published at the same time go out together.
#[derive(Debug)]
pub(crate) struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    outlet: Arc<Outlet>,
    state: Mutex<State>,
    /// Rung when there is enough for the sending task's next command.
    bell: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Whether an event that met no other is on its way.
    alone: bool,
    /// Whether a task sends what waits.
    sending: bool,
    waiting: VecDeque<Waiting>,
    /// At how many that wait the bell is rung.
    enough: Option<usize>,
}

#[derive(Debug)]
struct Waiting {
    entry: NewEntry,
    bytes: usize,
    caller: oneshot::Sender<Outcome>,
    since: Instant,
}

impl Gate {
    pub(crate) fn new(outlet: Arc<Outlet>) -> Self {
        Self(Arc::new(Shared { outlet, state: Mutex::default(), bell: Notify::new() }))
    }

    /// Sends one entry, by itself or with those it meets, and returns its id.
    pub(crate) async fn send(&self, entry: NewEntry, bytes: usize) -> Outcome {
        let shared = &self.0;
        if shared.go_alone() {
            let _alone = Alone(shared);
            let adding = async {
                let line = shared.outlet.line().await?;
                let added = shared.outlet.add(line, vec![entry]).await.pop();
                added.unwrap_or_else(|| Err(shared.disconnected()))
            };
            // Boxed, so that those that wait for others do not need the space.
            return Box::pin(adding).await;
        }
        let (caller, outcome) = oneshot::channel();
        if shared.wait(Waiting { entry, bytes, caller, since: Instant::now() }) {
            tokio::spawn(send_what_waits(Sending { shared: Arc::clone(shared), over: false }));
        }
        // Not a timer for each event: the task that sends gives up in time, and dies only with its runtime.
        outcome.await.unwrap_or_else(|_| Err(shared.disconnected()))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code that runs under the lock can panic and leave the state half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disconnected(&self) -> CommandError {
        CommandError::disconnected("XADD", self.outlet.client().stream_key())
    }

    /// Whether there is nobody to meet.
    fn go_alone(&self) -> bool {
        let mut state = self.state();
        let nobody = !state.alone && !state.sending;
        state.alone |= nobody;
        nobody
    }

    /// Puts an event where it will be sent from; true when somebody has to begin with that.
    fn wait(&self, waiting: Waiting) -> bool {
        let mut state = self.state();
        state.waiting.push_back(waiting);
        let waiting = state.waiting.len();
        let enough = state.enough.take_if(|enough| *enough <= waiting).is_some();
        let begin = !mem::replace(&mut state.sending, true);
        drop(state);
        if enough {
            self.bell.notify_one();
        }
        begin
    }

    /// The next command, while those of `on_their_way` events are on their way.
    fn next(&self, on_their_way: &[usize]) -> Next {
        let mut state = self.state();
        state.enough = None;
        let waiting = state.waiting.len();
        let most = match on_their_way {
            [] if waiting == 0 => {
                state.sending = false;
                return Next::Over;
            }
            [] if waiting >= HALVED_FROM => waiting.div_ceil(2),
            [] => waiting,
            // A command for the first of many who come again would leave the others to a third one.
            [other] if waiting < other.div_ceil(2) => {
                state.enough = Some(other.div_ceil(2));
                return Next::NotYet;
            }
            [_] => waiting,
            _ => return Next::NotYet,
        };
        Next::Command(state.take(most.min(EVENTS_IN_ONE_COMMAND)))
    }
}

impl State {
    /// Up to `most` events, and no more than one command carries.
    fn take(&mut self, most: usize) -> Command {
        let mut command =
            Command { batch: Vec::with_capacity(most), callers: Vec::with_capacity(most), since: None };
        let mut bytes = 0;
        while command.batch.len() < most && bytes < BYTES_IN_ONE_COMMAND {
            let Some(waiting) = self.waiting.pop_front() else { break };
            // Whoever is gone gave up before anything was sent.
            if !waiting.caller.is_closed() {
                bytes += waiting.bytes;
                command.since.get_or_insert(waiting.since);
                command.batch.push(waiting.entry);
                command.callers.push(waiting.caller);
            }
        }
        command
    }
}

/// What the sending task does next.
enum Next {
    /// Sends this.
    Command(Command),
    /// Waits for the answer to a command, or for more to send.
    NotYet,
    /// Ends: nothing waits, and nothing is on its way.
    Over,
}

/// Some events, to be sent together.
struct Command {
    batch: Vec<NewEntry>,
    callers: Vec<oneshot::Sender<Outcome>>,
    /// Since when the first of them waits.
    since: Option<Instant>,
}

impl Command {
    /// Sends the events, and tells each caller what became of its own: at the latest when the first has waited for as long
    /// as adding may take, since the server is silent then.
    async fn send(self, outlet: &Outlet) {
        let Self { batch, callers, since } = self;
        let Some(until) =
            since.map(|since| since + outlet.patience()).filter(|until| *until > Instant::now())
        else {
            return;
        };
        let sent = timeout_at(until, async {
            outlet.client().ask_for_scripts().await;
            match outlet.line().await {
                Ok(line) => outlet.add(line, batch).await,
                Err(error) => callers.iter().map(|_| Err(error.clone())).collect(),
            }
        });
        // Whoever has no outcome is told that there is no connection, as when the runtime ends.
        for (outcome, caller) in sent.await.unwrap_or_default().into_iter().zip(callers) {
            // A caller that is gone has left open whether its event is published.
            caller.send(outcome).ok();
        }
    }
}

type Sent<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Sends what waits until nothing does.
async fn send_what_waits(mut sending: Sending) {
    let shared = Arc::clone(&sending.shared);
    let mut on_their_way: FuturesOrdered<Sent<'_>> = FuturesOrdered::new();
    let mut sizes: VecDeque<usize> = VecDeque::with_capacity(COMMANDS_ON_THEIR_WAY);
    loop {
        // First everybody has a turn who is about to publish: at the beginning those that come together, later those whose
        // events were just accepted.
        yield_now().await;
        match shared.next(sizes.make_contiguous()) {
            Next::Over => {
                sending.over = true;
                return;
            }
            // All whose events it would have carried are gone.
            Next::Command(command) if command.batch.is_empty() => {}
            Next::Command(command) => {
                sizes.push_back(command.batch.len());
                on_their_way.push_back(Box::pin(command.send(&shared.outlet)));
                // Looked at once, it is on its way.
                if on_their_way.next().now_or_never().is_some() {
                    sizes.pop_front();
                }
            }
            Next::NotYet => {
                tokio::select! {
                    Some(()) = on_their_way.next() => {
                        sizes.pop_front();
                    }
                    () = shared.bell.notified() => {}
                }
            }
        }
    }
}

/// An event on its way by itself; it is over however its caller ends.
struct Alone<'a>(&'a Shared);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.state().alone = false;
    }
}

/// The task that sends, for as long as it lives: a runtime that ends takes it along, and the next caller begins anew.
struct Sending {
    shared: Arc<Shared>,
    over: bool,
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.over {
            let mut state = self.shared.state();
            state.sending = false;
            state.waiting.clear();
        }
    }
}
