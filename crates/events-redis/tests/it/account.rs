//! `Account`: a publisher, and what became of every event it published.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use events_core::Delivery;
use events_redis::{RedisConsumer, RedisPublisher};
use events_testkit::{Balance, Ledger};
use test_servers::RedisServer;
use tokio::time::Instant;

use crate::support::*;

/// A publisher, and what became of every event it published.
#[derive(Clone)]
pub(crate) struct Account {
    publisher: Arc<RedisPublisher>,
    ledger: Arc<Ledger>,
}

impl Account {
    pub(crate) fn with(publisher: RedisPublisher) -> Self {
        Self { publisher: Arc::new(publisher), ledger: Arc::new(Ledger::new(1 + RESENDS)) }
    }

    /// Publishes each event until it is accepted.
    pub(crate) async fn publish(&self, numbers: Range<usize>) {
        let batch = NonZeroUsize::new(numbers.len()).expect("events to publish");
        let published = self.ledger.publish_stubbornly(&*self.publisher, numbers, batch);
        tokio::time::timeout(DEADLINE, published).await.expect("the events are accepted in time");
    }

    /// Publishes once, and returns what was not accepted and may be later.
    pub(crate) async fn try_publish(&self, numbers: Range<usize>) -> Vec<usize> {
        self.ledger.publish(&*self.publisher, &numbers.collect::<Vec<_>>()).await
    }

    /// Receives until something comes, passing over what may pass.
    pub(crate) async fn receive(&self, consumer: &mut RedisConsumer) -> Vec<Delivery> {
        let end = Instant::now() + DEADLINE;
        loop {
            assert!(Instant::now() < end, "nothing came within {DEADLINE:?}: {}", self.balance());
            match self.ledger.receive(consumer, BATCH, DEADLINE / 10).await {
                Ok(deliveries) if !deliveries.is_empty() => return deliveries,
                Ok(_) | Err(_) => {}
            }
        }
    }

    pub(crate) async fn ack(&self, deliveries: Vec<Delivery>) {
        self.ledger.ack(deliveries).await;
    }

    pub(crate) fn fault_begins(&self) {
        self.ledger.fault_begins();
    }

    pub(crate) fn fault_ends(&self) {
        self.ledger.fault_ends();
    }

    pub(crate) fn balance(&self) -> Balance {
        self.ledger.balance()
    }

    /// Receives and acknowledges what is left, and insists that nothing that was accepted is missing, that nothing came
    /// again that was not in flight, and that nothing stays pending.
    pub(crate) async fn settle(&self, server: &RedisServer, consumer: &mut RedisConsumer) {
        let end = Instant::now() + DEADLINE;
        // What was not confirmed may come as well, after all that was.
        while !self.balance().missing.is_empty() || pending(server) > 0 || self.is_unread(server) {
            assert!(Instant::now() < end, "not settled within {DEADLINE:?}: {}", self.balance());
            if let Ok(deliveries) = self.ledger.receive(consumer, BATCH, Duration::from_millis(50)).await {
                self.ack(deliveries).await;
            }
        }
        self.balance().assert_sound();
    }

    /// Whether the stream holds what the group has not read yet.
    fn is_unread(&self, server: &RedisServer) -> bool {
        let groups = command(server, &["XINFO", "GROUPS", STREAM]);
        let lag = |group: &test_servers::Reply| {
            let fields = group.array()?;
            let at = fields.iter().position(|field| field.text() == Some("lag"))?;
            fields.get(at + 1)?.integer()
        };
        groups.array().and_then(|groups| lag(groups.first()?)).is_some_and(|lag| lag > 0)
    }
}
