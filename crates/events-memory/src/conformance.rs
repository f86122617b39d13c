//! Runs the conformance suite on a clock that only the suite moves.

use std::sync::Arc;
use std::time::Duration;

use events_core::wire::RawMessage;
use events_core::{ConsumerOptions, EventAdmin, EventConsumer, EventPublisher, MessageId, async_trait};
use events_testkit::{Fault, Harness};
use time::macros::datetime;

use crate::{ManualClock, MemoryBroker};

#[derive(Debug)]
struct MemoryHarness {
    broker: MemoryBroker,
    clock: ManualClock,
}

impl MemoryHarness {
    fn new() -> Self {
        let clock = ManualClock::new(datetime!(2026-02-10 12:00 UTC));
        Self { broker: MemoryBroker::default().with_clock(&clock), clock }
    }
}

#[async_trait]
impl Harness for MemoryHarness {
    async fn publisher(&self, stream: &str) -> Arc<dyn EventPublisher> {
        Arc::new(self.broker.publisher(stream))
    }

    async fn consumer(&self, stream: &str, options: ConsumerOptions) -> Box<dyn EventConsumer> {
        Box::new(self.broker.consumer(stream, options).unwrap())
    }

    async fn admin(&self, stream: &str) -> Arc<dyn EventAdmin> {
        Arc::new(self.broker.admin(stream))
    }

    fn lease(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    async fn publish_raw(&self, stream: &str, message: RawMessage) -> MessageId {
        self.broker.publish_raw(stream, message).unwrap()
    }

    async fn cause(&self, fault: Fault<'_>) -> bool {
        match fault {
            Fault::RemoveEvent { stream, id } => assert!(self.broker.remove_event(stream, id)),
            Fault::DeleteGroup { stream, group } => assert!(self.broker.remove_group(stream, group)),
            Fault::DeleteStream { stream } => self.broker.remove_stream(stream),
            Fault::Flush => self.broker.clear(),
            _ => return false,
        }
        true
    }

    async fn strand(&self, stream: &str, options: ConsumerOptions) {
        let (lent, _) = self.broker.consumer(stream, options).unwrap().lend(usize::MAX);
        assert!(!lent.is_empty());
    }

    fn not_shown(&self) -> &[(u8, &'static str)] {
        &[
            (36, "the broker lives and dies with the process"),
            (37, "the broker is the process that would wait for it"),
            (39, "the broker keeps no names"),
        ]
    }
}

events_testkit::conformance_suite!(MemoryHarness::new());
