//! Runs the conformance suite on both emulators.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::MessageAttributeValue;
use events_aws::{AwsConfig, AwsPublisher, SqsAdmin, SqsConsumer};
use events_core::wire::RawMessage;
use events_core::{ConsumerOptions, EventAdmin, EventConsumer, EventPublisher, MessageId, async_trait};
use events_testkit::{Fault, Harness};
use test_servers::AwsEmulatorKind;

use crate::emulator::{Account, shared};

/// A queue and its dead-letter queue per stream, published to directly.
#[derive(Debug)]
struct SqsHarness {
    account: Account,
    kind: AwsEmulatorKind,
    lease: Duration,
}

impl SqsHarness {
    fn start(kind: AwsEmulatorKind) -> Self {
        let lease = match kind {
            AwsEmulatorKind::Ministack => Duration::from_secs(6),
            AwsEmulatorKind::Moto => Duration::from_secs(10),
        };
        Self { account: Account::at(&shared(kind).url()), kind, lease }
    }

    async fn config(&self, stream: &str) -> AwsConfig {
        let mut config = AwsConfig::queue(self.account.queue(stream, self.lease).await);
        if self.kind == AwsEmulatorKind::Moto {
            // Its threads give one message to two calls that come at the same time, and it takes seconds under load.
            config.concurrency = NonZeroUsize::MIN;
            config.call_timeout = Duration::from_secs(60);
            config.publish_timeout = Duration::from_secs(120);
        }
        config.dead_letter_queue_url = Some(self.account.queue(&format!("{stream}-dead"), self.lease).await);
        config
    }
}

#[async_trait]
impl Harness for SqsHarness {
    async fn publisher(&self, stream: &str) -> Arc<dyn EventPublisher> {
        let config = self.config(stream).await;
        Arc::new(AwsPublisher::new(self.account.clients(&config), &config).expect("a publisher opens"))
    }

    async fn consumer(&self, stream: &str, options: ConsumerOptions) -> Box<dyn EventConsumer> {
        let config = self.config(stream).await;
        let consumer = SqsConsumer::new(self.account.clients(&config), &config, options).await;
        Box::new(consumer.expect("a consumer opens"))
    }

    async fn admin(&self, stream: &str) -> Arc<dyn EventAdmin> {
        let config = self.config(stream).await;
        Arc::new(SqsAdmin::new(self.account.clients(&config), &config).await.expect("an admin opens"))
    }

    fn lease(&self) -> Duration {
        self.lease
    }

    async fn advance(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn publish_raw(&self, stream: &str, message: RawMessage) -> MessageId {
        let url = self.config(stream).await.queue_url.expect("a queue is configured");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a queue takes text only");
        let body = message.body().expect("a message has a body");
        let mut call = self.account.sqs.send_message().queue_url(url).message_body(text(body));
        for (name, value) in message.fields.iter().filter(|(name, _)| name != b"event") {
            let value =
                MessageAttributeValue::builder().data_type("String").string_value(text(value)).build();
            call = call.message_attributes(text(name), value.expect("the attribute is whole"));
        }
        call.send().await.expect("the message is taken").message_id.expect("it has an id").into()
    }

    fn can_hold(&self, message: &RawMessage) -> bool {
        // What FastStream sends is in a field of another name, and a message of SQS has but one body.
        let body = message.fields.iter().find(|(name, _)| name == b"event");
        body.is_some_and(|(_, body)| std::str::from_utf8(body).is_ok())
    }

    async fn cause(&self, _: Fault<'_>) -> bool {
        false
    }

    fn left_out(&self) -> &[(u8, &'static str)] {
        const MANY: &str =
            "hundreds of messages, and moto takes milliseconds for each a queue holds, at every call";
        match self.kind {
            AwsEmulatorKind::Ministack => &[],
            AwsEmulatorKind::Moto => {
                &[(33, MANY), (36, MANY), (45, MANY), (54, MANY), (55, MANY), (60, MANY), (65, MANY)]
            }
        }
    }

    fn not_shown(&self) -> &[(u8, &'static str)] {
        &[
            (5, "a queue is one group: groups of their own are queues of their own"),
            (7, "a queue keeps no history"),
            (8, "a standard queue has no order; FIFO queues have a test of their own"),
            (34, "nothing trims a queue but the end of its retention"),
            (35, "a queue that was deleted is made again by whoever made it, never by a consumer"),
            (36, "no emulator keeps its queues when it is killed; restarts have a test of their own"),
            (37, "calls have time limits of their own; a frozen emulator has a test of its own"),
            (39, "a queue keeps no names of consumers"),
            (62, "a queue keeps no history that could be trimmed"),
            (63, "a queue is one group and tells nothing about it"),
        ]
    }
}

mod ministack {
    use super::{AwsEmulatorKind, SqsHarness};

    events_testkit::conformance_suite!(SqsHarness::start(AwsEmulatorKind::Ministack));
}

mod moto {
    use super::{AwsEmulatorKind, SqsHarness};

    events_testkit::conformance_suite!(SqsHarness::start(AwsEmulatorKind::Moto));
}

#[tokio::test]
async fn what_moto_is_spared_ministack_shows() {
    let (moto, ministack) =
        (SqsHarness::start(AwsEmulatorKind::Moto), SqsHarness::start(AwsEmulatorKind::Ministack));
    assert_eq!(ministack.left_out(), []);
    let nowhere = moto.left_out().iter().map(|(number, _)| *number);
    let nowhere = nowhere.filter(|number| ministack.not_shown().iter().any(|(other, _)| number == other));
    assert_eq!(nowhere.collect::<Vec<_>>(), [36], "whose reason holds for both");
}
