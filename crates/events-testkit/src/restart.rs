//! Cases 36 and 37: the broker is killed and restarted, or freezes, while events flow.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use events_core::{EventConsumer, EventPublisher};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::scene::{BATCH, DEADLINE, Scene, WAIT, numbered, within};
use crate::{Fault, Harness, Ledger, Shown};

/// How many events flow through a restart.
const COUNT: usize = 10_000;

/// How many are accepted and delivered before the broker is killed, so that it happens in the middle.
const BEFORE: usize = 2_000;

/// How long all of it may take.
const LONGEST: Duration = Duration::from_secs(100);

/// How often a publisher may send again by itself what was not answered.
const RESENDS: u32 = 2;

/// Events on their way from a publisher to a consumer, each accounted for.
struct Flow {
    ledger: Arc<Ledger>,
    publishing: JoinHandle<()>,
    consuming: JoinHandle<()>,
    end: Instant,
}

impl Flow {
    async fn start(scene: &Scene<'_>, count: usize) -> Self {
        let ledger = Arc::new(Ledger::new(RESENDS));
        // Every delivery that the fault cuts short counts as an attempt; none of them may make a dead letter.
        let many = NonZeroU32::new(1_000).expect("a thousand is not zero");
        let consumer = scene.consumer_with(scene.options("g").with_max_deliveries(many)).await;
        let publishing = tokio::spawn(publish_all(Arc::clone(&ledger), scene.publisher().await, count));
        let consuming = tokio::spawn(consume_all(Arc::clone(&ledger), consumer, count));
        Self { ledger, publishing, consuming, end: Instant::now() + LONGEST }
    }

    /// Waits until so many events were accepted and delivered.
    async fn reach(&self, count: usize) {
        while self.ledger.accepted_count().min(self.ledger.delivered()) < count {
            assert!(Instant::now() < self.end, "{}", self.ledger.balance());
            assert!(!self.consuming.is_finished(), "the consumer gave up");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until all events were accepted and delivered, and checks the account.
    async fn finish(self, harness: &dyn Harness) {
        while !(self.publishing.is_finished() && self.consuming.is_finished()) {
            assert!(Instant::now() < self.end, "{}", self.ledger.balance());
            harness.advance(Duration::from_millis(200)).await;
            // A harness whose clock is moved by hand spends no real time above.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.publishing.await.expect("publishing ends well");
        self.consuming.await.expect("consuming ends well");
        self.ledger.balance().assert_sound();
    }

    fn abandon(self) {
        self.publishing.abort();
        self.consuming.abort();
    }
}

async fn publish_all(ledger: Arc<Ledger>, publisher: Arc<dyn EventPublisher>, count: usize) {
    ledger.publish_stubbornly(&*publisher, 0..count, BATCH).await;
    publisher.close().await.expect("a publisher closes");
}

async fn consume_all(ledger: Arc<Ledger>, mut consumer: Box<dyn EventConsumer>, count: usize) {
    while ledger.delivered() < count {
        // A transient error passes; the next call says so.
        if let Ok(deliveries) = ledger.receive(&mut *consumer, BATCH, WAIT).await {
            ledger.ack(deliveries).await;
        }
    }
    consumer.close().await.expect("a consumer closes");
}

/// 36: of 10,000 events none that was accepted is lost when the broker is killed and restarted under publisher and
/// consumer, and none comes again that was not in flight.
pub async fn loses_nothing_accepted_when_the_broker_is_killed(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let flow = Flow::start(&scene, COUNT).await;
    flow.reach(BEFORE).await;
    flow.ledger.fault_begins();
    if !harness.cause(Fault::RestartBroker).await {
        flow.abandon();
        return Shown::NotOffered;
    }
    flow.reach((BEFORE + COUNT) / 2).await;
    flow.ledger.fault_ends();
    flow.finish(harness).await;
    Shown::Yes
}

/// 37: a broker that freezes is noticed: whoever waits is told so, by itself and within the backend's stated bound, and
/// when the broker goes on nothing that was accepted is lost.
pub async fn notices_a_frozen_broker(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let ledger = Ledger::new(RESENDS);
    let mut consumer = scene.consumer("g").await;
    let publisher = scene.publisher().await;
    ledger.publish_stubbornly(&*publisher, 0..10, BATCH).await;
    while ledger.delivered() < 10 {
        let deliveries = ledger.receive(&mut *consumer, BATCH, WAIT).await.expect("receiving works");
        ledger.ack(deliveries).await;
    }
    ledger.fault_begins();
    if !harness.cause(Fault::Freeze).await {
        return Shown::NotOffered;
    }
    // Only an error says that nobody knows; an empty batch would say that there is nothing.
    let received = within(DEADLINE, ledger.receive(&mut *consumer, BATCH, Duration::ZERO)).await;
    received.expect_err("nothing can be received from a frozen broker");
    let report = within(DEADLINE, publisher.publish_batch(&numbered(10..11))).await;
    let error = report.expect("a publisher is open").into_ids().expect_err("nobody can have accepted it");
    assert!(error.is_transient(), "{error:?}");
    ledger.may_repeat([10; 1 + RESENDS as usize]);
    assert!(harness.cause(Fault::Thaw).await, "what can be frozen can be thawed");
    let publishing = ledger.publish_stubbornly(&*publisher, 10..20, BATCH);
    let consuming = async {
        let end = Instant::now() + DEADLINE;
        while ledger.delivered() < 20 {
            assert!(Instant::now() < end, "{}", ledger.balance());
            if let Ok(deliveries) = ledger.receive(&mut *consumer, BATCH, WAIT).await {
                ledger.ack(deliveries).await;
            }
        }
    };
    tokio::join!(publishing, consuming);
    ledger.fault_ends();
    ledger.balance().assert_sound();
    publisher.close().await.expect("a publisher closes");
    consumer.close().await.expect("a consumer closes");
    Shown::Yes
}
