//! The emulators the tests share, and queues and topics of a test's own in them.

use std::num::NonZeroUsize;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::types::QueueAttributeName;
use events_aws::{AwsClients, AwsConfig, AwsPublisher, SqsConsumer};
use events_core::{ConsumerOptions, Delivery, Event, EventConsumer};
use test_servers::{AwsEmulator, AwsEmulatorKind};

/// An emulator for tests that do not disturb it. Its process ends with that of the tests.
pub(crate) fn shared(kind: AwsEmulatorKind) -> &'static AwsEmulator {
    static MINISTACK: LazyLock<AwsEmulator> =
        LazyLock::new(|| AwsEmulator::start(AwsEmulatorKind::Ministack).expect("ministack starts"));
    static MOTO: LazyLock<AwsEmulator> =
        LazyLock::new(|| AwsEmulator::start(AwsEmulatorKind::Moto).expect("moto starts"));
    match kind {
        AwsEmulatorKind::Ministack => &MINISTACK,
        AwsEmulatorKind::Moto => &MOTO,
    }
}

/// The account of both emulators, as far as these tests speak to one directly.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) sdk: SdkConfig,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) sns: aws_sdk_sns::Client,
}

impl Account {
    pub(crate) fn at(endpoint: &str) -> Self {
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint)
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "k", "s", None, None, "tests",
            )))
            .build();
        Self { sqs: aws_sdk_sqs::Client::new(&sdk), sns: aws_sdk_sns::Client::new(&sdk), sdk }
    }

    pub(crate) fn clients(&self, config: &AwsConfig) -> AwsClients {
        AwsClients::from_sdk_config(&self.sdk, config)
    }

    /// Makes a queue, or finds it, and returns its URL.
    pub(crate) async fn queue(&self, name: &str, visibility: Duration) -> String {
        let mut call = self.sqs.create_queue().queue_name(name);
        call = call.attributes(QueueAttributeName::VisibilityTimeout, visibility.as_secs().to_string());
        if name.ends_with(".fifo") {
            call = call.attributes(QueueAttributeName::FifoQueue, "true");
        }
        call.send().await.expect("a queue is made").queue_url.expect("a queue has a URL")
    }

    /// A queue of the test's own, with its dead-letter queue, and the configuration that consumes from it.
    pub(crate) async fn config(&self, name: &str, visibility: Duration) -> AwsConfig {
        let dead = match name.strip_suffix(".fifo") {
            Some(stem) => format!("{stem}-dead.fifo"),
            None => format!("{name}-dead"),
        };
        let mut config = AwsConfig::queue(self.queue(name, visibility).await);
        config.dead_letter_queue_url = Some(self.queue(&dead, visibility).await);
        config
    }

    pub(crate) async fn consumer(&self, config: &AwsConfig) -> SqsConsumer {
        let options = ConsumerOptions::new("g");
        SqsConsumer::new(self.clients(config), config, options).await.expect("a consumer opens")
    }

    pub(crate) fn publisher(&self, config: &AwsConfig) -> AwsPublisher {
        AwsPublisher::new(self.clients(config), config).expect("a publisher opens")
    }

    pub(crate) async fn queue_arn(&self, url: &str) -> String {
        let call =
            self.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
        let attributes =
            call.send().await.expect("the queue answers").attributes.expect("there are attributes");
        attributes[&QueueAttributeName::QueueArn].clone()
    }
}

/// How long a test waits for what must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A name nobody else uses in the emulators the tests share.
pub(crate) fn unique(what: &str) -> String {
    let event = Event::builder("a.b", "s").build().expect("the event is valid");
    format!("{what}-{}", event.id().expect("an event has an id"))
}

/// An event whose payload is `{"n":<number>}`, of a source of its own.
pub(crate) fn numbered(source: &str, n: usize) -> Event {
    Event::new("test.numbered", source, serde_json::json!({ "n": n })).expect("the event is valid")
}

pub(crate) fn number(delivery: &Delivery) -> usize {
    let payload: serde_json::Value = delivery.event().payload_as().expect("the payload is JSON");
    payload["n"].as_u64().and_then(|n| n.try_into().ok()).expect("the event is numbered")
}

/// Receives until there are `count` deliveries.
pub(crate) async fn receive(consumer: &mut SqsConsumer, count: usize) -> Vec<Delivery> {
    let end = Instant::now() + DEADLINE;
    let mut deliveries = Vec::new();
    while let Some(left) = NonZeroUsize::new(count - deliveries.len()) {
        assert!(Instant::now() < end, "{} of {count} deliveries", deliveries.len());
        deliveries.extend(consumer.receive(left, Duration::from_secs(1)).await.expect("receiving works"));
    }
    deliveries
}
