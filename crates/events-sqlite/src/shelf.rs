//! Where what was claimed for a consumer lies until `receive` hands it out.
//!
//! A claim lands here, not in the future that asked for it, so dropping that future loses nothing.
//! What stays here is kept alive by the writing thread, and given back when the consumer goes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use events_core::wire::Encoding;
use events_core::{Error, Event};
use rusqlite::Connection;
use tokio::sync::Notify;

use crate::claim::{Claim, Claimed};
use crate::error::Failure;
use crate::join::{Membership, leave};
use crate::settle::{self, Held};

/// An event that can be handed out.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) held: Held,
    pub(crate) published_at: i64,
    pub(crate) event: Event,
}

/// One consumer's shelf.
#[derive(Debug)]
pub(crate) struct Shelf {
    /// Of the group; extensions are made every third of it.
    lease: Duration,
    state: Mutex<State>,
    landed: Notify,
}

#[derive(Debug)]
struct State {
    membership: Membership,
    claimed: VecDeque<Claimed>,
    ready: VecDeque<Ready>,
    /// What could not be decoded and is not in the dead letters yet.
    spoiled: Vec<(Held, Error)>,
    /// Whether a claim is on its way here.
    claiming: bool,
    failure: Option<Failure>,
    more: bool,
    /// When the leases of everything here were last begun or extended.
    extended_at: Instant,
    /// When extending them was last tried.
    tried_at: Instant,
    kept: bool,
    left: bool,
}

impl State {
    fn held(&self) -> Vec<Held> {
        let claimed = self.claimed.iter().map(|event| Held { seq: event.seq, attempt: event.attempt });
        let ready = self.ready.iter().map(|ready| ready.held);
        ready.chain(claimed).chain(self.spoiled.iter().map(|(held, _)| *held)).collect()
    }

    fn is_empty(&self) -> bool {
        self.claimed.is_empty() && self.ready.is_empty() && self.spoiled.is_empty()
    }
}

impl Shelf {
    pub(crate) fn new(membership: Membership, lease: Duration) -> Self {
        let state = State {
            membership,
            claimed: VecDeque::new(),
            ready: VecDeque::new(),
            spoiled: Vec::new(),
            claiming: false,
            failure: None,
            more: false,
            extended_at: Instant::now(),
            tried_at: Instant::now(),
            kept: false,
            left: false,
        };
        Self { lease, state: Mutex::new(state), landed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn membership(&self) -> Membership {
        self.state().membership
    }

    /// Says that a claim is on its way; `false` when there is no need for one.
    pub(crate) fn begin_claim(&self) -> bool {
        let mut state = self.state();
        let needed = !state.claiming && state.is_empty();
        state.claiming |= needed;
        needed
    }

    /// What a claim needs to know when it runs; nothing when nobody wants it any more.
    pub(crate) fn claimant(&self) -> Option<Membership> {
        let state = self.state();
        (!state.left).then_some(state.membership)
    }

    /// Takes what a claim brought; called on the writing thread.
    pub(crate) fn land(&self, outcome: Result<Option<Claim>, Failure>) {
        let mut state = self.state();
        state.claiming = false;
        (state.extended_at, state.tried_at) = (Instant::now(), Instant::now());
        match outcome {
            Ok(Some(claim)) => {
                state.membership = claim.membership;
                state.more = claim.more;
                state.claimed.extend(claim.events);
            }
            Ok(None) => {}
            Err(failure) => state.failure = Some(failure),
        }
        drop(state);
        self.landed.notify_one();
    }

    /// Waits until no claim is on its way.
    pub(crate) async fn landed(&self) -> Result<(), Failure> {
        loop {
            let landed = self.landed.notified();
            {
                let mut state = self.state();
                if !state.claiming {
                    return state.failure.take().map_or(Ok(()), Err);
                }
            }
            landed.await;
        }
    }

    /// Decodes what was claimed and returns what of it is no event.
    pub(crate) fn decode(&self, expected: Option<Encoding>) -> Vec<(Held, String)> {
        let mut state = self.state();
        for Claimed { seq, attempt, published_at, stored } in std::mem::take(&mut state.claimed) {
            let held = Held { seq, attempt };
            match stored.decode(expected, published_at) {
                Ok(event) => state.ready.push_back(Ready { held, published_at, event }),
                Err(error) => state.spoiled.push((held, error)),
            }
        }
        state.spoiled.iter().map(|(held, error)| (*held, describe(error))).collect()
    }

    /// What was spoiled is in the dead letters now.
    pub(crate) fn discard_spoiled(&self) {
        self.state().spoiled.clear();
    }

    /// Whether the leases run since `moment` or later.
    pub(crate) fn is_fresh(&self, moment: Instant) -> bool {
        let state = self.state();
        state.extended_at >= moment || state.ready.is_empty()
    }

    /// Takes up to `max` events, and says whether the claim left something in the stream.
    pub(crate) fn take(&self, max: usize) -> (Vec<Ready>, bool) {
        let mut state = self.state();
        let count = max.min(state.ready.len());
        let more = std::mem::take(&mut state.more);
        (state.ready.drain(..count).collect(), more)
    }

    /// Whether the writing thread has to be told to keep what lies here alive; it is told once.
    pub(crate) fn begin_keeping(&self) -> bool {
        let mut state = self.state();
        let needed = !state.kept && !state.left && (state.claiming || !state.is_empty());
        state.kept |= needed;
        needed
    }

    /// Whether there is, or soon will be, something to keep alive.
    pub(crate) fn is_still_kept(&self) -> bool {
        let mut state = self.state();
        state.kept = !state.left && (state.claiming || !state.is_empty());
        state.kept
    }

    /// When the leases have to be extended next.
    pub(crate) fn next_extension(&self) -> Option<Instant> {
        let state = self.state();
        (!state.is_empty()).then(|| state.tried_at + self.lease / 3)
    }

    /// Extending failed; it is tried again as late as if it had not.
    pub(crate) fn postpone_extension(&self) {
        self.state().tried_at = Instant::now();
    }

    /// Extends the leases of everything that lies here and lets go of what somebody else holds by now.
    pub(crate) fn extend(&self, connection: &Connection, now: i64) -> Result<(), Failure> {
        let (membership, held) = {
            let mut state = self.state();
            state.tried_at = Instant::now();
            (state.membership, state.held())
        };
        let started = Instant::now();
        let lease = crate::clock::micros(self.lease);
        let extended = settle::extend(connection, &membership, &held, lease, now)?;
        let lost: Vec<Held> =
            held.into_iter().zip(extended).filter(|(_, extended)| !extended).map(|(held, _)| held).collect();
        let mut state = self.state();
        state.extended_at = started;
        if !lost.is_empty() {
            state.ready.retain(|ready| !lost.contains(&ready.held));
            state.claimed.retain(|event| !lost.contains(&Held { seq: event.seq, attempt: event.attempt }));
            state.spoiled.retain(|(held, _)| !lost.contains(held));
        }
        Ok(())
    }

    /// From now on nothing is claimed.
    pub(crate) fn leave(&self) {
        self.state().left = true;
    }

    /// Gives back what lies here, as if it had not been delivered, and forgets the consumer.
    pub(crate) fn give_back(&self, connection: &Connection, now: i64) -> Result<(), Failure> {
        let (membership, held) = {
            let state = self.state();
            (state.membership, state.held())
        };
        settle::release(connection, &membership, &held, now)?;
        leave(connection, &membership)
    }

    /// What lay here was given back.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.claimed.clear();
        state.ready.clear();
        state.spoiled.clear();
    }
}

/// The error and what caused it, in one line.
fn describe(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{}: {source}", error.message()),
        None => error.message().to_owned(),
    }
}
