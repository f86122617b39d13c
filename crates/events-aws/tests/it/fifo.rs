//! FIFO queues: each group in order, whatever fails in between.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use events_aws::{AwsConfig, GroupKey, Setup};
use events_core::{Event, EventConsumer, EventPublisher, EventPublisherExt};
use test_servers::AwsEmulatorKind;

use crate::emulator::{Account, DEADLINE, number, numbered, receive, shared, unique};

const LEASE: Duration = Duration::from_secs(30);
const TEN: NonZeroUsize = NonZeroUsize::new(10).expect("ten is not zero");

async fn publish(account: &Account, config: &AwsConfig, events: &[Event]) {
    let report = account.publisher(config).publish_batch(events).await.expect("the batch is sent");
    assert!(report.is_complete(), "{report:?}");
}

async fn keeps_order_past_a_failing_message(kind: AwsEmulatorKind) {
    let account = Account::at(&shared(kind).url());
    let config = account.config(&format!("{}.fifo", unique("order")), LEASE).await;
    let events: Vec<Event> = (0..12).map(|n| numbered(if n % 2 == 0 { "even" } else { "odd" }, n)).collect();
    publish(&account, &config, &events).await;
    let mut consumer = account.consumer(&config).await;
    let (mut handled, mut failures, end) = (Vec::new(), 0, Instant::now() + DEADLINE);
    while handled.len() < events.len() {
        assert!(Instant::now() < end, "only {handled:?}");
        let deliveries = consumer.receive(TEN, Duration::from_secs(1)).await.expect("receiving works");
        let groups: Vec<&str> = deliveries.iter().map(|delivery| delivery.event().source()).collect();
        assert!(groups.len() <= 2 && groups.first() != groups.get(1), "one of a group at a time: {groups:?}");
        for delivery in deliveries {
            if number(&delivery) == 4 && failures < 2 {
                failures += 1;
                delivery.nack().await.expect("a nack works");
            } else {
                handled.push(number(&delivery));
                delivery.ack().await.expect("acknowledging works");
            }
        }
    }
    assert_eq!(failures, 2);
    let group = |rest| handled.iter().copied().filter(|n| n % 2 == rest).collect::<Vec<_>>();
    assert_eq!(group(0), [0, 2, 4, 6, 8, 10], "the failing message holds up its group");
    assert_eq!(group(1), [1, 3, 5, 7, 9, 11], "and no other");
}

#[tokio::test]
async fn keeps_order_past_a_failing_message_on_ministack() {
    keeps_order_past_a_failing_message(AwsEmulatorKind::Ministack).await;
}

#[tokio::test]
async fn keeps_order_past_a_failing_message_on_moto() {
    keeps_order_past_a_failing_message(AwsEmulatorKind::Moto).await;
}

#[tokio::test]
async fn gives_the_rest_of_a_group_back_when_its_first_is_dropped() {
    let account = Account::at(&shared(AwsEmulatorKind::Ministack).url());
    let config = account.config(&format!("{}.fifo", unique("dropped")), Duration::from_secs(2)).await;
    publish(&account, &config, &(0..4).map(|n| numbered("s", n)).collect::<Vec<_>>()).await;
    let mut first = account.consumer(&config).await;
    let mut taken = Vec::new();
    while taken.is_empty() {
        taken = first.receive(TEN, Duration::from_secs(1)).await.expect("receiving works");
    }
    assert_eq!(taken.len(), 1, "the others of the group are fetched and wait behind it");
    drop(taken);
    // The first consumer stays open and asks for nothing: another gets the whole group, in order.
    let mut second = account.consumer(&config).await;
    for n in 0..4 {
        let delivery = receive(&mut second, 1).await.remove(0);
        assert_eq!(number(&delivery), n);
        delivery.ack().await.expect("acknowledging works");
    }
}

#[tokio::test]
async fn one_group_is_one_order_and_an_event_is_taken_once() {
    let account = Account::at(&shared(AwsEmulatorKind::Ministack).url());
    let mut config = account.config(&format!("{}.fifo", unique("once")), LEASE).await;
    config.group_by = GroupKey::Stream;
    let publisher = account.publisher(&config);
    assert!(publisher.capabilities().ordered);
    let events: Vec<Event> = (0..25).map(|n| numbered(&format!("s{n}"), n)).collect();
    publish(&account, &config, &events).await;
    publisher.publish(&events[0]).await.expect("a repetition is accepted");
    let mut consumer = account.consumer(&config).await;
    for n in 0..25 {
        let delivery = receive(&mut consumer, 1).await.remove(0);
        assert_eq!(number(&delivery), n);
        delivery.ack().await.expect("acknowledging works");
    }
    let rest = consumer.receive(TEN, Duration::from_secs(1)).await.expect("receiving works");
    assert!(rest.is_empty(), "the repetition is not delivered");
}

#[tokio::test]
async fn a_fifo_topic_hands_its_order_to_a_fifo_queue() {
    let account = Account::at(&shared(AwsEmulatorKind::Ministack).url());
    let name = unique("topic");
    let setup = Setup::queue(format!("{name}.fifo")).with_topic(format!("{name}-t.fifo"));
    let ensured = setup.ensure(&account.clients(&AwsConfig::default())).await.expect("it is set up");
    let config = AwsConfig::topic(ensured.topic_arn.expect("there is a topic"));
    publish(&account, &config, &(0..12).map(|n| numbered("s", n)).collect::<Vec<_>>()).await;
    let config = AwsConfig::queue(ensured.queue_url.expect("there is a queue"));
    let mut consumer = account.consumer(&config).await;
    for n in 0..12 {
        let delivery = receive(&mut consumer, 1).await.remove(0);
        assert_eq!(number(&delivery), n);
        delivery.ack().await.expect("acknowledging works");
    }
}
