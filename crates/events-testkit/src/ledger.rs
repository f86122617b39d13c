//! `Ledger`: what became of every event: accepted, delivered, lost, repeated, and what the faults explain of it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events_core::{Delivery, ErrorKind, EventConsumer, EventPublisher, Result};

use crate::Balance;
use crate::scene::{number, numbered, receive_once};

/// Keeps account of numbered events across publishers, consumers and faults.
///
/// An event may come more than once for a reason only: a publish of it was not confirmed and may have been carried out
/// all the same, a delivery of it was given back, or either was in flight while a fault lasted.
/// [`balance`](Self::balance) compares what happened with that.
#[derive(Debug)]
pub struct Ledger {
    state: Mutex<State>,
    /// How often a publisher sends again by itself what was not answered.
    resends: u32,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new(1)
    }
}

#[derive(Debug, Default)]
struct State {
    fates: BTreeMap<usize, Fate>,
    /// How often what is on its way or not settled yet could come again if there were a fault, by event.
    in_flight: BTreeMap<usize, u32>,
    /// How many different events were accepted, and delivered.
    accepted: usize,
    delivered: usize,
    given_back: usize,
    faults: u32,
    /// How many faults last now.
    lasting: u32,
}

/// What became of one event.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    accepted: bool,
    delivered: u32,
    /// Whether an acknowledgement was sent; one that failed may have been carried out all the same.
    acked: bool,
    /// How often it may come beyond once.
    may_repeat: u32,
    /// Whether the broker was made to forget it.
    forgotten: bool,
}

impl State {
    fn fate(&mut self, number: usize) -> &mut Fate {
        self.fates.entry(number).or_default()
    }

    fn accept(&mut self, number: usize) {
        let before = std::mem::replace(&mut self.fate(number).accepted, true);
        self.accepted += usize::from(!before);
    }

    fn deliver(&mut self, number: usize) {
        self.begin(number, 1);
        self.fate(number).delivered += 1;
        self.delivered += usize::from(self.fate(number).delivered == 1);
    }

    fn begin(&mut self, number: usize, weight: u32) {
        *self.in_flight.entry(number).or_default() += weight;
        if self.lasting > 0 {
            self.fate(number).may_repeat += weight;
        }
    }

    /// Ends what [`begin`](Self::begin) began; what has no certain end may repeat.
    fn end(&mut self, number: usize, weight: u32, certain: bool) {
        if let Some(count) = self.in_flight.get_mut(&number) {
            *count = count.saturating_sub(weight);
            if *count == 0 {
                self.in_flight.remove(&number);
            }
        }
        if !certain {
            self.fate(number).may_repeat += 1;
        }
    }
}

impl Ledger {
    /// An empty one, for publishers that send again up to `resends` times what a fault kept from being answered: 1 by
    /// default.
    pub fn new(resends: u32) -> Self {
        Self { state: Mutex::default(), resends }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes events of these numbers once, and returns the numbers that were not accepted.
    ///
    /// # Panics
    ///
    /// When one is refused for good.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves its events on their way for ever.
    pub async fn publish(&self, publisher: &dyn EventPublisher, numbers: &[usize]) -> Vec<usize> {
        let events: Vec<_> = numbers.iter().flat_map(|number| numbered(*number..number + 1)).collect();
        {
            let mut state = self.state();
            numbers.iter().for_each(|number| state.begin(*number, self.resends));
        }
        let report = publisher.publish_batch(&events).await.expect("a publisher that is open publishes");
        assert_eq!(report.outcomes().len(), events.len(), "there is one outcome per event");
        let mut state = self.state();
        let mut refused = Vec::new();
        for (number, outcome) in numbers.iter().zip(report.outcomes()) {
            // What found no room was not sent; after any other error nobody knows.
            let certain = outcome.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::Full);
            state.end(*number, self.resends, certain);
            match outcome {
                Ok(_) => state.accept(*number),
                Err(error) => {
                    assert!(error.is_transient(), "publishing fails for good: {error:?}");
                    refused.push(*number);
                }
            }
        }
        refused
    }

    /// Publishes events of these numbers in batches of up to `batch`, each one until it is accepted.
    ///
    /// # Panics
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// As [`publish`](Self::publish).
    pub async fn publish_stubbornly(
        &self,
        publisher: &dyn EventPublisher,
        numbers: Range<usize>,
        batch: NonZeroUsize,
    ) {
        for batch in numbers.collect::<Vec<_>>().chunks(batch.get()) {
            let mut left = batch.to_vec();
            while !left.is_empty() {
                left = self.publish(publisher, &left).await;
                if !left.is_empty() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// Asks a consumer once; each delivery is in flight until [`ack`](Self::ack) or [`give_back`](Self::give_back).
    ///
    /// # Errors
    ///
    /// Those of the consumer that may pass.
    ///
    /// # Panics
    ///
    /// When receiving fails for good.
    ///
    /// # Cancel safety
    ///
    /// As [`EventConsumer::receive`].
    pub async fn receive(
        &self,
        consumer: &mut dyn EventConsumer,
        max: NonZeroUsize,
        wait: Duration,
    ) -> Result<Vec<Delivery>> {
        let deliveries = match receive_once(consumer, max, wait).await {
            Err(error) if !error.is_transient() => panic!("receiving fails for good: {error:?}"),
            received => received?,
        };
        let mut state = self.state();
        for number in deliveries.iter().map(number) {
            state.deliver(number);
        }
        Ok(deliveries)
    }

    /// Acknowledges deliveries; those that cannot be now come again.
    ///
    /// # Panics
    ///
    /// When acknowledging fails for good.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves its deliveries in flight for ever.
    pub async fn ack(&self, deliveries: Vec<Delivery>) {
        let numbers: Vec<usize> = deliveries.iter().map(number).collect();
        let report = events_core::ack_all(deliveries).await;
        for (_, error) in &report.failed {
            assert!(error.is_transient(), "acknowledging fails for good: {error:?}");
        }
        let failed: BTreeSet<usize> = report.failed.iter().map(|(delivery, _)| number(delivery)).collect();
        let mut state = self.state();
        for number in numbers {
            let acked = !failed.contains(&number);
            state.end(number, 1, acked);
            state.fate(number).acked = true;
        }
    }

    /// A delivery of this number was nacked, released or dropped, and may come again.
    pub fn give_back(&self, number: usize) {
        let mut state = self.state();
        state.end(number, 1, false);
        state.given_back += 1;
    }

    /// A fault begins: whatever is in flight until it [`ends`](Self::fault_ends) may be repeated.
    pub fn fault_begins(&self) {
        let mut state = self.state();
        state.faults += 1;
        state.lasting += 1;
        let in_flight = state.in_flight.clone();
        for (number, count) in in_flight {
            state.fate(number).may_repeat += count;
        }
    }

    /// A fault has ended, and what it disturbed has settled.
    pub fn fault_ends(&self) {
        let mut state = self.state();
        state.lasting = state.lasting.saturating_sub(1);
    }

    /// These events may come once more than they have, for a reason outside the ledger's view.
    pub fn may_repeat(&self, numbers: impl IntoIterator<Item = usize>) {
        let mut state = self.state();
        numbers.into_iter().for_each(|number| state.fate(number).may_repeat += 1);
    }

    /// The broker was made to forget these events: whether they arrive does not count.
    pub fn forget(&self, numbers: impl IntoIterator<Item = usize>) {
        let mut state = self.state();
        for number in numbers {
            state.fate(number).forgotten = true;
        }
    }

    /// The numbers of the events that were accepted so far.
    pub fn accepted(&self) -> BTreeSet<usize> {
        let state = self.state();
        state.fates.iter().filter(|(_, fate)| fate.accepted).map(|(number, _)| *number).collect()
    }

    /// The numbers of accepted events that nobody has tried to acknowledge and the broker has not forgotten.
    pub fn unacknowledged(&self) -> BTreeSet<usize> {
        let state = self.state();
        let open = state.fates.iter().filter(|(_, fate)| fate.accepted && !fate.acked && !fate.forgotten);
        open.map(|(number, _)| *number).collect()
    }

    /// How many events were accepted so far.
    pub fn accepted_count(&self) -> usize {
        self.state().accepted
    }

    /// Whether the broker was made to forget this event.
    pub fn is_forgotten(&self, number: usize) -> bool {
        self.state().fates.get(&number).is_some_and(|fate| fate.forgotten)
    }

    /// How many different events were delivered so far.
    pub fn delivered(&self) -> usize {
        self.state().delivered
    }

    /// What became of all events so far.
    pub fn balance(&self) -> Balance {
        let state = self.state();
        let mut balance =
            Balance { faults: state.faults, given_back: state.given_back, ..Balance::default() };
        for (number, fate) in &state.fates {
            let repeated = fate.delivered.saturating_sub(1);
            balance.accepted += usize::from(fate.accepted);
            balance.delivered += usize::from(fate.delivered > 0);
            balance.duplicated += repeated as usize;
            balance.in_flight += fate.may_repeat as usize;
            if fate.accepted && fate.delivered == 0 {
                if fate.forgotten {
                    balance.forgotten += 1;
                } else {
                    balance.missing.push(*number);
                }
            }
            if repeated > fate.may_repeat {
                balance.unexplained.push((*number, fate.delivered, fate.may_repeat));
            }
        }
        balance.in_flight -= state.given_back;
        balance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(ledger: &Ledger, number: usize) {
        let mut state = ledger.state();
        state.begin(number, 1);
        state.end(number, 1, true);
        state.accept(number);
    }

    fn delivered(ledger: &Ledger, number: usize) {
        ledger.state().deliver(number);
    }

    fn acked(ledger: &Ledger, number: usize) {
        let mut state = ledger.state();
        state.end(number, 1, true);
        state.fate(number).acked = true;
    }

    #[test]
    fn an_accepted_event_that_never_comes_is_lost() {
        let ledger = Ledger::default();
        accepted(&ledger, 0);
        accepted(&ledger, 1);
        delivered(&ledger, 0);
        assert_eq!(ledger.balance().missing, [1]);
        ledger.forget([1]);
        ledger.balance().assert_sound();
        assert_eq!(ledger.balance().forgotten, 1);
    }

    #[test]
    fn a_repetition_needs_a_reason() {
        let ledger = Ledger::default();
        for number in 0..4 {
            accepted(&ledger, number);
            delivered(&ledger, number);
        }
        acked(&ledger, 0);
        acked(&ledger, 1);
        ledger.give_back(2);
        ledger.fault_begins();
        acked(&ledger, 3);
        ledger.fault_ends();
        for number in [0, 2, 3] {
            delivered(&ledger, number);
            acked(&ledger, number);
        }
        let balance = ledger.balance();
        assert_eq!((balance.duplicated, balance.given_back, balance.in_flight), (3, 1, 1));
        assert_eq!(balance.unexplained, [(0, 2, 0)]);
    }

    #[test]
    fn what_begins_while_a_fault_lasts_may_repeat() {
        let ledger = Ledger::default();
        accepted(&ledger, 0);
        ledger.fault_begins();
        delivered(&ledger, 0);
        acked(&ledger, 0);
        ledger.fault_ends();
        delivered(&ledger, 0);
        ledger.balance().assert_sound();
        acked(&ledger, 0);
        delivered(&ledger, 0);
        assert_eq!(ledger.balance().unexplained, [(0, 3, 1)]);
    }
}
