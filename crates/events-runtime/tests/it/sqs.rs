//! Queues in the emulator of AWS the tests share.

use std::sync::LazyLock;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::types::QueueAttributeName;
use events_aws::{AwsClients, AwsConfig, AwsPublisher, Setup, SqsAdmin, SqsConsumer};
use events_core::ConsumerOptions;
use test_servers::{AwsEmulator, AwsEmulatorKind};
use tokio::sync::OnceCell;

/// The visibility timeout of the queues; consumers ask for leases of their own.
const LEASE: Duration = Duration::from_secs(600);

/// Where the emulator is; its process ends with that of the tests.
pub(crate) fn emulator() -> String {
    static EMULATOR: LazyLock<AwsEmulator> =
        LazyLock::new(|| AwsEmulator::start(AwsEmulatorKind::Ministack).expect("ministack starts"));
    EMULATOR.url()
}

/// A queue and its dead-letter queue, made when they are first used.
pub(crate) struct Queue {
    sdk: SdkConfig,
    name: String,
    config: OnceCell<AwsConfig>,
}

impl Queue {
    pub(crate) fn new(name: String) -> Self {
        Self::at(&emulator(), name)
    }

    /// The queue of this name in the emulator at `endpoint`.
    pub(crate) fn at(endpoint: &str, name: String) -> Self {
        let credentials = Credentials::new("k", "s", None, None, "tests");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Self { sdk, name, config: OnceCell::new() }
    }

    pub(crate) fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }

    async fn config(&self) -> &AwsConfig {
        let ensure = async || {
            let dead = match self.name.strip_suffix(".fifo") {
                Some(name) => format!("{name}-dead.fifo"),
                None => format!("{}-dead", self.name),
            };
            let setup = Setup::queue(&self.name).with_dead_letter_queue(dead).with_lease(LEASE);
            let clients = AwsClients::from_sdk_config(&self.sdk, &AwsConfig::default());
            AwsConfig::queue(setup.ensure(&clients).await.unwrap().queue_url.unwrap())
        };
        self.config.get_or_init(ensure).await
    }

    async fn clients(&self) -> AwsClients {
        AwsClients::from_sdk_config(&self.sdk, self.config().await)
    }

    pub(crate) async fn publisher(&self) -> AwsPublisher {
        AwsPublisher::new(self.clients().await, self.config().await).unwrap()
    }

    pub(crate) async fn consumer(&self, options: ConsumerOptions) -> SqsConsumer {
        SqsConsumer::new(self.clients().await, self.config().await, options).await.unwrap()
    }

    pub(crate) async fn admin(&self) -> SqsAdmin {
        SqsAdmin::new(self.clients().await, self.config().await).await.unwrap()
    }

    /// How many messages wait, and how many are in somebody's hands.
    pub(crate) async fn left(&self) -> (u64, u64) {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let url = self.config().await.queue_url.as_deref().unwrap();
        let mut call = aws_sdk_sqs::Client::new(&self.sdk).get_queue_attributes().queue_url(url);
        for name in &names {
            call = call.attribute_names(name.clone());
        }
        let attributes = call.send().await.unwrap().attributes.unwrap();
        let [waiting, held] = names.map(|name| attributes[&name].parse().unwrap());
        (waiting, held)
    }
}
