//! The emulators the tests share, and queues and topics of a test's own in them.

use std::sync::LazyLock;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::types::QueueAttributeName;
use events_aws::{AwsClients, AwsConfig};
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

    pub(crate) async fn queue_arn(&self, url: &str) -> String {
        let call =
            self.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
        let attributes =
            call.send().await.expect("the queue answers").attributes.expect("there are attributes");
        attributes[&QueueAttributeName::QueueArn].clone()
    }
}
