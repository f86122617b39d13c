//! What every case needs: names nobody else uses, numbered events, and waiting with a deadline.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use events_core::wire::{Encoding, RawMessage};
use events_core::{
    ConsumerOptions, DeadLetter, Delivery, ErrorKind, Event, EventAdmin, EventConsumer, EventPublisher,
    MessageId, Result,
};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::Harness;

/// How long a case waits for what must happen; generous, since it is only spent when a rule is broken.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// How long a case looks for what must not happen.
const QUIET: Duration = Duration::from_millis(100);

/// How long one call of `receive` waits inside a loop that has a deadline of its own.
pub(crate) const WAIT: Duration = Duration::from_millis(500);

/// The most one call of `receive` is asked for.
pub(crate) const BATCH: NonZeroUsize = NonZeroUsize::new(100).expect("a hundred is not zero");

/// One stream of one harness, under a name no other case or run uses.
pub(crate) struct Scene<'h> {
    pub(crate) harness: &'h dyn Harness,
    pub(crate) stream: String,
}

impl<'h> Scene<'h> {
    pub(crate) fn new(harness: &'h dyn Harness) -> Self {
        Self { harness, stream: unique("suite") }
    }

    /// A member of `group`, with the harness's lease.
    pub(crate) fn options(&self, group: &str) -> ConsumerOptions {
        ConsumerOptions::new(group).with_lease(self.harness.lease())
    }

    pub(crate) async fn publisher(&self) -> Arc<dyn EventPublisher> {
        self.harness.publisher(&self.stream).await
    }

    pub(crate) async fn admin(&self) -> Arc<dyn EventAdmin> {
        self.harness.admin(&self.stream).await
    }

    pub(crate) async fn consumer(&self, group: &str) -> Box<dyn EventConsumer> {
        self.consumer_with(self.options(group)).await
    }

    pub(crate) async fn consumer_with(&self, options: ConsumerOptions) -> Box<dyn EventConsumer> {
        self.harness.consumer(&self.stream, options).await
    }

    /// Publishes events numbered from `0` to `count` and returns their ids.
    pub(crate) async fn publish(&self, count: usize) -> Vec<MessageId> {
        self.publish_events(&numbered(0..count)).await
    }

    pub(crate) async fn publish_events(&self, events: &[Event]) -> Vec<MessageId> {
        let publisher = self.publisher().await;
        let ids = publish_all(&*publisher, events).await;
        publisher.close().await.expect("a publisher closes");
        ids
    }

    /// Lets a lease that starts now end, with a margin for clocks that tick coarsely.
    pub(crate) async fn let_lease_pass(&self) {
        self.harness.advance(self.harness.lease() + self.harness.lease() / 4).await;
    }
}

/// A name that no other case and no other run uses.
pub(crate) fn unique(what: &str) -> String {
    format!("{what}-{}", Uuid::now_v7().simple())
}

/// Events whose payload is `{"n":<number>}`.
pub(crate) fn numbered(numbers: std::ops::Range<usize>) -> Vec<Event> {
    numbers
        .map(|n| {
            Event::new("suite.numbered", "events-testkit", serde_json::json!({ "n": n }))
                .expect("a numbered event is valid")
        })
        .collect()
}

/// The number of a delivered [`numbered`] event.
pub(crate) fn number(delivery: &Delivery) -> usize {
    number_of(delivery.event())
}

/// The number of a [`numbered`] event.
pub(crate) fn number_of(event: &Event) -> usize {
    let payload: serde_json::Value = event.payload_as().expect("the payload is JSON");
    let number = payload["n"].as_u64().expect("the event is numbered");
    usize::try_from(number).expect("the number was a usize")
}

/// The numbers of deliveries, in their order.
pub(crate) fn numbers(deliveries: &[Delivery]) -> Vec<usize> {
    deliveries.iter().map(number).collect()
}

/// The ids of deliveries, without their order.
pub(crate) fn ids(deliveries: &[Delivery]) -> BTreeSet<String> {
    deliveries.iter().map(|delivery| delivery.message_id().to_string()).collect()
}

/// Publishes events and insists that every one is accepted.
pub(crate) async fn publish_all(publisher: &dyn EventPublisher, events: &[Event]) -> Vec<MessageId> {
    let report = publisher.publish_batch(events).await.expect("the batch is sent");
    assert_eq!(report.outcomes().len(), events.len(), "there is one outcome per event");
    report.into_ids().expect("every event is accepted")
}

/// Asks once, and checks that no more comes than was asked for, and nothing twice.
pub(crate) async fn receive_once(
    consumer: &mut dyn EventConsumer,
    max: NonZeroUsize,
    wait: Duration,
) -> Result<Vec<Delivery>> {
    let deliveries = consumer.receive(max, wait).await?;
    assert!(deliveries.len() <= max.get(), "{} deliveries, though {max} were asked for", deliveries.len());
    assert_eq!(ids(&deliveries).len(), deliveries.len(), "one call hands out an event once");
    Ok(deliveries)
}

/// Receives until there are `count` deliveries; panics after [`DEADLINE`].
pub(crate) async fn receive(consumer: &mut dyn EventConsumer, count: usize) -> Vec<Delivery> {
    receive_within(consumer, count, DEADLINE).await
}

/// Receives until there are `count` deliveries; panics after `deadline`.
pub(crate) async fn receive_within(
    consumer: &mut dyn EventConsumer,
    count: usize,
    deadline: Duration,
) -> Vec<Delivery> {
    let end = Instant::now() + deadline;
    let mut deliveries = Vec::new();
    while deliveries.len() < count {
        assert!(Instant::now() < end, "{} of {count} deliveries after {deadline:?}", deliveries.len());
        let max = NonZeroUsize::new(count - deliveries.len()).unwrap_or(BATCH).min(BATCH);
        deliveries.extend(receive_once(consumer, max, WAIT).await.expect("receiving works"));
    }
    deliveries
}

/// Receives in a task of its own, in one call that waits longer than any case runs: only being woken ends it.
pub(crate) struct Waiting(JoinHandle<(Box<dyn EventConsumer>, Vec<Delivery>)>);

impl Waiting {
    pub(crate) fn new(mut consumer: Box<dyn EventConsumer>) -> Self {
        Self(tokio::spawn(async move {
            let received = receive_once(&mut *consumer, BATCH, DEADLINE * 100).await;
            let received = received.expect("receiving works");
            (consumer, received)
        }))
    }

    /// The consumer and what woke it; panics after [`DEADLINE`].
    pub(crate) async fn woken(self) -> (Box<dyn EventConsumer>, Vec<Delivery>) {
        within(DEADLINE, self.0).await.expect("the waiting task lives")
    }

    /// Insists that nothing has come so far.
    pub(crate) async fn expect_none(&self) {
        tokio::time::sleep(QUIET).await;
        assert!(!self.0.is_finished(), "nothing is due, yet the waiting consumer got something");
    }
}

/// Receives exactly one.
pub(crate) async fn receive_one(consumer: &mut dyn EventConsumer) -> Delivery {
    receive(consumer, 1).await.pop().expect("one delivery was received")
}

/// Receives and acknowledges until `done` says that the numbers so far suffice, passing over transient errors as a
/// consumer must; returns every number, repetitions included. Panics after [`DEADLINE`].
pub(crate) async fn receive_through_faults(
    consumer: &mut dyn EventConsumer,
    mut done: impl FnMut(&[usize]) -> bool,
) -> Vec<usize> {
    let end = Instant::now() + DEADLINE;
    let mut seen = Vec::new();
    while !done(&seen) {
        assert!(Instant::now() < end, "only {seen:?} after {DEADLINE:?}");
        match receive_once(consumer, BATCH, WAIT).await {
            Ok(deliveries) => {
                seen.extend(numbers(&deliveries));
                ack_what_can_be(deliveries).await;
            }
            Err(error) => assert!(error.is_transient(), "receiving fails for good: {error:?}"),
        }
    }
    seen
}

/// Insists that the group is given nothing now.
pub(crate) async fn expect_nothing(consumer: &mut dyn EventConsumer) {
    for wait in [Duration::ZERO, QUIET] {
        let deliveries = receive_once(consumer, BATCH, wait).await.expect("receiving works");
        assert!(deliveries.is_empty(), "nothing is due, yet {deliveries:?} came");
    }
}

/// Whether the backend keeps consumer groups, after checking that one without them says so.
pub(crate) async fn groups_offered(admin: &dyn EventAdmin) -> bool {
    offered(admin.capabilities().groups, admin.groups().await)
}

/// The dead letters of a stream, or `None` after checking that a backend without them says so.
pub(crate) async fn dead_letters(admin: &dyn EventAdmin) -> Option<Vec<DeadLetter>> {
    let letters = admin.dead_letters(None, BATCH).await;
    match admin.capabilities().dead_letters {
        true => Some(letters.expect("listing dead letters works")),
        false => {
            offered(false, letters);
            None
        }
    }
}

/// Passes on whether something is offered, after checking that a call which needs it answers accordingly.
pub(crate) fn offered<T: Debug>(offered: bool, outcome: Result<T>) -> bool {
    match outcome {
        Ok(_) => assert!(offered, "a call works that needs a capability the backend does not declare"),
        Err(error) if offered => panic!("a call fails though the backend declares that it works: {error}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
    }
    offered
}

/// The output of what must end in time.
pub(crate) async fn within<F: Future>(deadline: Duration, future: F) -> F::Output {
    match tokio::time::timeout(deadline, future).await {
        Ok(output) => output,
        Err(_) => panic!("no end after {deadline:?}"),
    }
}

/// Polls a future at most `times` times and drops it, as a caller does who loses patience; its output if it got that far.
pub(crate) async fn poll_times<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
            return Some(output);
        }
        // Other tasks, and the backend's own, get on before the next poll.
        tokio::task::yield_now().await;
    }
    None
}

/// Acknowledges everything and insists that it works.
pub(crate) async fn ack(deliveries: Vec<Delivery>) {
    let count = deliveries.len();
    let acked = events_core::ack_all(deliveries).await.into_result().expect("acknowledging works");
    assert_eq!(acked, count, "every delivery is acknowledged");
}

/// Acknowledges what the broker takes; the rest comes again. Returns how many it took.
pub(crate) async fn ack_what_can_be(deliveries: Vec<Delivery>) -> usize {
    let report = events_core::ack_all(deliveries).await;
    for (_, error) in &report.failed {
        assert!(error.is_transient(), "acknowledging fails for good: {error:?}");
    }
    report.acked
}

/// The message an event becomes in the default encoding.
pub(crate) fn encoded(event: &Event) -> RawMessage {
    RawMessage::from(&Encoding::Adr018.encode(event).expect("the event can be encoded"))
}

/// What the event counts towards the limits of a backend.
pub(crate) fn counted_bytes(event: &Event) -> usize {
    Encoding::Adr018.encode(event).expect("the event can be encoded").counted_bytes()
}
