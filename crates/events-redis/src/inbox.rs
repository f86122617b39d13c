//! `Inbox`: where the reader puts deliveries and `receive` takes them from.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events_core::{Error, Event, Result};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client::Held;
use crate::entry_id::EntryId;

/// An event that was fetched and not yet handed over.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) id: EntryId,
    pub(crate) attempt: u32,
    pub(crate) event: Event,
    /// When its lease was last known to begin; `None` when its group is gone and nobody else can be given it.
    pub(crate) leased: Option<Instant>,
}

/// One call of `receive` that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    number: u64,
    pub(crate) max: usize,
    pub(crate) since: Instant,
    pub(crate) until: Instant,
}

/// What the reader should fetch now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    /// Nothing: nobody asks, or what is asked for lies ready.
    Nothing,
    /// What lies ready is asked for, and its leases have run for a while.
    Fresh,
    /// Events for a call that waits.
    Events(Demand),
}

/// What `receive` finds.
#[derive(Debug)]
pub(crate) enum Found {
    /// Events to hand over.
    Events(Vec<Ready>),
    /// The answer to the demand: nothing there, or an error.
    Answer(Result<()>),
    /// Nothing yet.
    Nothing,
}

/// Where the reader puts deliveries and `receive` takes them from.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// How long a lease may have run when its event is handed over: little enough that the lease begins then.
    fresh: Duration,
    bell: Notify,
    caller: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Ready>,
    demand: Option<Demand>,
    answer: Option<Result<()>>,
    trouble: Option<Error>,
    demands: u64,
    /// How many events the last call wanted.
    asked: usize,
    /// Whether the reader would fetch more if there were room.
    room_wanted: bool,
    refreshing: bool,
    closed: bool,
}

impl Inbox {
    pub(crate) fn new(fresh: Duration) -> Self {
        Self { state: Mutex::default(), fresh, bell: Notify::new(), caller: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that runs under the lock can panic and leave the state half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What the consumer does.

    /// Takes up to `max` events whose leases begin now, if there are any. What was asked for is answered with that: the
    /// reader would fetch more for a call that only has not returned yet.
    pub(crate) fn take(&self, max: usize) -> Option<Vec<Ready>> {
        let mut state = self.state();
        state.asked = max;
        let fresh = |ready: &Ready| ready.leased.is_none_or(|leased| leased.elapsed() <= self.fresh);
        if state.refreshing || !state.ready.iter().take(max).all(fresh) || state.ready.is_empty() {
            return None;
        }
        let count = max.min(state.ready.len());
        let taken = state.ready.drain(..count).collect();
        state.demand = None;
        let room_wanted = state.room_wanted;
        drop(state);
        // Whoever is woken without need may run on another processor, which has to be woken as well.
        if room_wanted {
            self.bell.notify_one();
        }
        Some(taken)
    }

    /// Asks the reader for events; the demand ends when the value is dropped.
    pub(crate) fn ask(&self, max: usize, wait: Duration) -> Asking<'_> {
        let mut state = self.state();
        state.demands += 1;
        let since = Instant::now();
        let until = since.checked_add(wait).unwrap_or_else(|| since + FOREVER);
        let demand = Demand { number: state.demands, max, since, until };
        (state.demand, state.answer, state.trouble) = (Some(demand), None, None);
        drop(state);
        self.bell.notify_one();
        Asking { inbox: self, demand }
    }

    /// Stops everything; true the first time.
    pub(crate) fn close(&self) -> bool {
        let first = !std::mem::replace(&mut self.state().closed, true);
        self.bell.notify_one();
        first
    }

    // What the reader does.

    /// Waits until something changed that the reader may have to act on.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Makes the reader look up.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.state().ready.is_empty()
    }

    /// How many events lie ready.
    pub(crate) fn lies_ready(&self) -> usize {
        self.state().ready.len()
    }

    /// Whether the reader is to be rung when room is made, since it would fetch ahead into it.
    pub(crate) fn want_room(&self, wanted: bool) {
        self.state().room_wanted = wanted;
    }

    pub(crate) fn want(&self) -> Want {
        let state = self.state();
        match state.demand {
            Some(demand) if state.ready.is_empty() => Want::Events(demand),
            Some(demand) => {
                let stale = |ready: &Ready| ready.leased.is_some_and(|leased| leased.elapsed() > self.fresh);
                if state.ready.iter().take(demand.max).any(stale) { Want::Fresh } else { Want::Nothing }
            }
            None => Want::Nothing,
        }
    }

    /// How many events the last call wanted, and the next one as a rule.
    pub(crate) fn asked(&self) -> usize {
        self.state().asked
    }

    /// Whether this call still waits.
    pub(crate) fn still_wanted(&self, demand: &Demand) -> bool {
        let state = self.state();
        state.ready.is_empty() && state.demand.is_some_and(|current| current.number == demand.number)
    }

    pub(crate) fn put(&self, ready: Vec<Ready>) {
        if ready.is_empty() {
            return;
        }
        self.state().ready.extend(ready);
        self.caller.notify_one();
    }

    /// Answers a demand with nothing or an error.
    pub(crate) fn answer(&self, demand: &Demand, answer: Result<()>) {
        let mut state = self.state();
        if state.demand.is_some_and(|current| current.number == demand.number) {
            (state.demand, state.answer) = (None, Some(answer));
            drop(state);
            self.caller.notify_one();
        }
    }

    /// Remembers why a demand is not answered yet.
    pub(crate) fn note(&self, trouble: Error) {
        self.state().trouble = Some(trouble);
    }

    /// When the oldest lease of what lies ready began.
    pub(crate) fn oldest_lease(&self) -> Option<Instant> {
        self.state().ready.iter().filter_map(|ready| ready.leased).min()
    }

    /// What lies ready, to have its leases begun anew. Nothing is handed over until [`refreshed`](Self::refreshed).
    pub(crate) fn refresh(&self) -> Vec<Held> {
        let mut state = self.state();
        state.refreshing = true;
        state
            .ready
            .iter()
            .filter(|ready| ready.leased.is_some())
            .map(|ready| (ready.id, ready.attempt))
            .collect()
    }

    /// Ends [`refresh`](Self::refresh): which of the entries are still held, and since when; nothing changes without it.
    pub(crate) fn refreshed(&self, entries: &[Held], held: Option<(Vec<bool>, Instant)>) {
        let mut state = self.state();
        state.refreshing = false;
        if let Some((held, since)) = held {
            let mut outcomes = entries.iter().zip(held).peekable();
            state.ready.retain_mut(|ready| {
                // Both are in the same order, and what was put in meanwhile comes last.
                let Some((_, held)) = outcomes.next_if(|((id, _), _)| *id == ready.id) else { return true };
                ready.leased = Some(since);
                held
            });
        }
        drop(state);
        self.caller.notify_one();
    }

    /// The group is gone: takes back and returns what the stream still holds, or keeps it as nobody else's.
    pub(crate) fn group_lost(&self, stream_survived: bool) -> Vec<Held> {
        let mut state = self.state();
        if stream_survived {
            return state.ready.drain(..).map(|ready| (ready.id, ready.attempt)).collect();
        }
        state.ready.iter_mut().for_each(|ready| ready.leased = None);
        Vec::new()
    }

    /// Everything that lies ready, when the consumer closes.
    pub(crate) fn empty(&self) -> Vec<Ready> {
        std::mem::take(&mut self.state().ready).into()
    }
}

/// Stands for a moment that never comes.
pub(crate) const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// A demand that was made and ends with this value.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    inbox: &'a Inbox,
    demand: Demand,
}

impl Asking<'_> {
    pub(crate) fn until(&self) -> Instant {
        self.demand.until
    }

    pub(crate) fn found(&self) -> Found {
        if let Some(ready) = self.inbox.take(self.demand.max) {
            return Found::Events(ready);
        }
        let mut state = self.inbox.state();
        // Events that lie ready come before an answer that was given meanwhile.
        if !state.ready.is_empty() {
            return Found::Nothing;
        }
        state.answer.take().map_or(Found::Nothing, Found::Answer)
    }

    /// Waits until something may have been found.
    pub(crate) async fn changed(&self) {
        self.inbox.caller.notified().await;
    }

    /// Why there is no answer, as far as the reader knows.
    pub(crate) fn trouble(&self) -> Option<Error> {
        self.inbox.state().trouble.take()
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut state = self.inbox.state();
        let given_up = state.demand.take_if(|current| current.number == self.demand.number).is_some();
        drop(state);
        if given_up {
            self.inbox.bell.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn ready(sequence: u64, leased: Option<Instant>) -> Ready {
        let id = format!("1-{sequence}").parse().unwrap();
        Ready { id, attempt: 1, event: Event::new("a.b", "s", serde_json::json!({})).unwrap(), leased }
    }

    fn inbox() -> Inbox {
        Inbox::new(Duration::from_millis(100))
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_has_run_for_long_is_begun_anew_before_handing_over() {
        let inbox = inbox();
        inbox.put(vec![ready(1, Some(Instant::now())), ready(2, Some(Instant::now()))]);
        tokio::time::advance(Duration::from_millis(101)).await;
        let asking = inbox.ask(10, Duration::ZERO);
        assert!(matches!(asking.found(), Found::Nothing));
        assert!(matches!(inbox.want(), Want::Fresh));
        let entries = inbox.refresh();
        assert!(matches!(asking.found(), Found::Nothing));
        // The second was lost to another consumer while nobody looked.
        inbox.refreshed(&entries, Some((vec![true, false], Instant::now())));
        let Found::Events(events) = asking.found() else { panic!("the first event is fresh") };
        assert_eq!(events.iter().map(|ready| ready.id.to_string()).collect::<Vec<_>>(), ["1-1"]);
    }

    #[tokio::test]
    async fn a_dropped_demand_leaves_what_was_fetched_for_it() {
        let inbox = inbox();
        drop(inbox.ask(1, Duration::from_secs(1)));
        assert!(matches!(inbox.want(), Want::Nothing));
        inbox.put(vec![ready(1, Some(Instant::now()))]);
        assert_eq!(inbox.take(10).map(|taken| taken.len()), Some(1));
    }

    #[tokio::test]
    async fn the_reader_is_rung_only_for_what_it_would_act_on() {
        let inbox = inbox();
        let rung = || inbox.rung().now_or_never().is_some();
        let asking = inbox.ask(10, Duration::from_secs(1));
        assert!(rung(), "somebody asks");
        inbox.put(vec![ready(1, Some(Instant::now())), ready(2, Some(Instant::now()))]);
        assert!(matches!(asking.found(), Found::Events(_)));
        drop(asking);
        assert!(!rung(), "what was asked for is taken, and nothing is to be fetched ahead");
        let asking = inbox.ask(10, Duration::from_secs(1));
        assert!(rung(), "somebody asks again");
        drop(asking);
        assert!(rung(), "and gives up");
        inbox.want_room(true);
        inbox.put(vec![ready(3, Some(Instant::now()))]);
        inbox.take(10);
        assert!(rung(), "there is room again");
    }

    #[tokio::test]
    async fn a_demand_ends_with_what_is_taken_for_it() {
        let inbox = inbox();
        let asking = inbox.ask(10, Duration::from_secs(1));
        inbox.put(vec![ready(1, Some(Instant::now()))]);
        assert!(matches!(asking.found(), Found::Events(_)));
        assert!(matches!(inbox.want(), Want::Nothing));
    }

    #[tokio::test]
    async fn an_answer_reaches_only_the_call_it_is_for() {
        let inbox = inbox();
        let first = inbox.ask(1, Duration::ZERO);
        let Want::Events(demand) = inbox.want() else { panic!("events are wanted") };
        drop(first);
        let second = inbox.ask(1, Duration::ZERO);
        inbox.answer(&demand, Ok(()));
        assert!(matches!(second.found(), Found::Nothing));
    }

    #[test]
    fn events_of_a_lost_group_are_kept_when_they_cannot_be_read_again() {
        let inbox = inbox();
        let long_ago = Instant::now() - Duration::from_secs(1);
        inbox.put(vec![ready(3, Some(long_ago)), ready(2, Some(long_ago))]);
        assert_eq!(inbox.group_lost(false), []);
        assert_eq!(inbox.take(10).map(|taken| taken.len()), Some(2));
    }
}
