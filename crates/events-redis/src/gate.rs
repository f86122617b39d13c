//! `Gate`: single events that are published at the same time go out together.
//!
//! What a command costs is mostly its way through the client, so sixty-four events in one are many times faster than in
//! sixty-four. Nobody waits for company: an event that meets no other is sent at once, by whoever publishes it. Those that
//! come while it is on its way are sent by a task of their own, together, as soon as it runs, and those that come meanwhile
//! are its next command. No event waits for another caller to go on, who may well have stopped to look.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events_core::MessageId;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::client::{CommandError, NewEntry};
use crate::outlet::Outlet;
use crate::publisher::{BYTES_IN_ONE_COMMAND, EVENTS_IN_ONE_COMMAND};

type Outcome = Result<MessageId, CommandError>;

/// Single events that are published at the same time go out together.
#[derive(Debug)]
pub(crate) struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    outlet: Arc<Outlet>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether an event that met no other is on its way.
    alone: bool,
    /// Whether a task sends what waits.
    sending: bool,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    entry: NewEntry,
    bytes: usize,
    caller: oneshot::Sender<Outcome>,
}

impl Gate {
    pub(crate) fn new(outlet: Arc<Outlet>) -> Self {
        Self(Arc::new(Shared { outlet, state: Mutex::default() }))
    }

    /// Sends one entry, by itself or with those it meets, and returns its id.
    pub(crate) async fn send(&self, entry: NewEntry, bytes: usize) -> Outcome {
        let shared = &self.0;
        if shared.go_alone() {
            let _alone = Alone(shared);
            let line = shared.outlet.line().await?;
            let added = shared.outlet.add(line, vec![entry]).await.pop();
            return added.unwrap_or_else(|| Err(shared.disconnected()));
        }
        let (caller, outcome) = oneshot::channel();
        if shared.wait(Waiting { entry, bytes, caller }) {
            tokio::spawn(send_what_waits(Sending { shared: Arc::clone(shared), over: false }));
        }
        match timeout(shared.outlet.patience(), outcome).await {
            Ok(Ok(outcome)) => outcome,
            // The server is silent, or the runtime ends.
            _ => Err(shared.disconnected()),
        }
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
        !std::mem::replace(&mut state.sending, true)
    }

    /// One command's worth of what waits; without any, sending is over.
    fn next(&self) -> (Vec<NewEntry>, Vec<oneshot::Sender<Outcome>>) {
        let mut state = self.state();
        let (mut batch, mut callers, mut bytes) = (Vec::new(), Vec::new(), 0);
        while batch.len() < EVENTS_IN_ONE_COMMAND && bytes < BYTES_IN_ONE_COMMAND {
            let Some(waiting) = state.waiting.pop_front() else { break };
            // Whoever is gone gave up before anything was sent.
            if !waiting.caller.is_closed() {
                bytes += waiting.bytes;
                batch.push(waiting.entry);
                callers.push(waiting.caller);
            }
        }
        state.sending = !batch.is_empty();
        (batch, callers)
    }
}

/// Sends what waits, one command after the other, until nothing does.
async fn send_what_waits(mut sending: Sending) {
    let shared = Arc::clone(&sending.shared);
    loop {
        // First everybody has a turn who is about to publish: at the beginning those that come together, later those whose
        // events were just accepted.
        yield_now().await;
        let (batch, callers) = shared.next();
        if batch.is_empty() {
            sending.over = true;
            return;
        }
        shared.outlet.client().ask_for_scripts().await;
        let outcomes = match shared.outlet.line().await {
            Ok(line) => shared.outlet.add(line, batch).await,
            Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
        };
        for (outcome, caller) in outcomes.into_iter().zip(callers) {
            // A caller that is gone has left open whether its event is published.
            caller.send(outcome).ok();
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
