//! Connecting as a service does: with settings, and with what the environment says.

use std::process::Command;
use std::time::Duration;

use events_aws::{AwsConfig, AwsPublisher, SqsAdmin, SqsConsumer};
use events_core::{ConsumerOptions, EventAdmin, EventConsumer, EventPublisher, EventPublisherExt};
use test_servers::AwsEmulatorKind;

use crate::emulator::{Account, numbered, receive, shared, unique};

/// The queue, or the topic, that the process started by a test is to use.
const QUEUE: &str = "EVENTS_AWS_TEST_QUEUE";
const TOPIC: &str = "EVENTS_AWS_TEST_TOPIC";

#[tokio::test]
#[ignore = "started by a_service_needs_addresses_and_credentials_and_nothing_else"]
async fn service() {
    let (Ok(queue_url), Ok(topic_arn)) = (std::env::var(QUEUE), std::env::var(TOPIC)) else { return };
    let topic = AwsPublisher::connect(AwsConfig::topic(topic_arn)).await.expect("a publisher connects");
    topic.publish(&numbered("s", 1)).await.expect("publishing works");
    let config = AwsConfig::queue(queue_url);
    let queue = AwsPublisher::connect(config.clone()).await.expect("a publisher connects");
    queue.publish(&numbered("s", 2)).await.expect("publishing works");
    let mut consumer =
        SqsConsumer::connect(config.clone(), ConsumerOptions::new("g")).await.expect("a consumer connects");
    assert_eq!(events_core::ack_all(receive(&mut consumer, 2).await).await.acked, 2);
    let admin = SqsAdmin::connect(config).await.expect("an admin connects");
    assert!(!admin.capabilities().dead_letters);
    admin.close().await.expect("an admin closes");
    consumer.close().await.expect("a consumer closes");
    queue.close().await.expect("a publisher closes");
    assert!(queue.publish(&numbered("s", 3)).await.is_err(), "closed is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_needs_addresses_and_credentials_and_nothing_else() {
    let emulator = shared(AwsEmulatorKind::Ministack);
    let account = Account::at(&emulator.url());
    let name = unique("service");
    let queue_url = account.queue(&name, Duration::from_secs(30)).await;
    let topic = account.sns.create_topic().name(&name).send().await.expect("a topic is made");
    let topic_arn = topic.topic_arn.expect("a topic has an ARN");
    let queue_arn = account.queue_arn(&queue_url).await;
    let call = account.sns.subscribe().topic_arn(&topic_arn).protocol("sqs").endpoint(queue_arn);
    call.send().await.expect("the queue is subscribed");
    let mut service = Command::new(std::env::current_exe().expect("this program has a path"));
    service
        .args(["--ignored", "--exact", "connecting::service"])
        .env(QUEUE, queue_url)
        .env(TOPIC, topic_arn)
        .env("AWS_ENDPOINT_URL", emulator.url())
        .env("AWS_ACCESS_KEY_ID", "k")
        .env("AWS_SECRET_ACCESS_KEY", "s");
    let output = tokio::task::spawn_blocking(move || service.output().expect("the service runs"));
    let output = output.await.expect("waiting does not panic");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
