//! Dead letters: by the queue's own redrive policy, by ours, and without a queue for them.

use std::num::NonZeroU32;
use std::time::Duration;

use events_aws::{AwsConfig, Setup, SqsAdmin, SqsConsumer};
use events_core::{
    ConsumerOptions, DeadLetterReason, ErrorKind, EventAdmin, EventConsumer, EventPublisher,
    EventPublisherExt,
};
use test_servers::AwsEmulatorKind;

use crate::emulator::{Account, numbered, receive, shared, unique};

const TEN: std::num::NonZeroUsize = std::num::NonZeroUsize::new(10).expect("ten is not zero");

#[tokio::test]
async fn what_the_queue_moved_itself_is_listed_and_redriven_too() {
    let account = Account::at(&shared(AwsEmulatorKind::Ministack).url());
    let name = unique("native");
    let setup = Setup::queue(&name).with_dead_letter_queue(format!("{name}-dead")).with_max_deliveries(1);
    let ensured = setup.ensure(&account.clients(&AwsConfig::default())).await.expect("it is set up");
    let config = AwsConfig::queue(ensured.queue_url.expect("there is a queue"));
    let event = numbered("s", 1);
    let id = account.publisher(&config).publish(&event).await.expect("publishing works");
    let options = || ConsumerOptions::new("g").with_max_deliveries(NonZeroU32::MAX);
    let mut consumer =
        SqsConsumer::new(account.clients(&config), &config, options()).await.expect("a consumer opens");
    for _ in 0..2 {
        receive(&mut consumer, 1).await.remove(0).nack().await.expect("a nack works");
    }
    let none = consumer.receive(TEN, Duration::from_secs(1)).await.expect("receiving works");
    assert!(none.is_empty());
    let admin = SqsAdmin::new(account.clients(&config), &config).await.expect("an admin opens");
    let letters = admin.dead_letters(None, TEN).await.expect("listing works");
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].reason, letters[0].attempts), (DeadLetterReason::MaxDeliveries, 2));
    assert_eq!((&letters[0].origin_id, &letters[0].stream), (&id, &name));
    assert_eq!(admin.redrive(&[letters[0].id.clone()]).await.expect("redriving works"), 1);
    let again = receive(&mut consumer, 1).await.remove(0);
    assert_eq!((again.event(), again.attempt(), again.message_id()), (&event, 1, &id));
    again.ack().await.expect("acknowledging works");
}

#[tokio::test]
async fn a_queue_tells_how_many_wait_are_in_hand_and_are_dead() {
    let account = Account::at(&shared(AwsEmulatorKind::Ministack).url());
    let config = account.config(&unique("depth"), Duration::from_secs(30)).await;
    let publisher = account.publisher(&config);
    for n in 0..5 {
        publisher.publish(&numbered("s", n)).await.expect("publishing works");
    }
    let mut consumer = account.consumer(&config).await;
    let mut held = receive(&mut consumer, 3).await;
    held.remove(0).reject("hopeless").await.expect("rejecting works");
    held.remove(0).ack().await.expect("acknowledging works");
    let admin = SqsAdmin::new(account.clients(&config), &config).await.expect("an admin opens");
    // Estimates may need a moment to become true.
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let state = admin.state().await.expect("telling works");
        assert!(state.approximate);
        let group = &state.groups[0];
        let told = (state.length, group.lag.unwrap_or(0) + group.pending, state.dead_letters);
        if told == (Some(3), 3, Some(1)) && group.pending >= 1 {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "{state:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(admin.groups().await.expect_err("a queue keeps no groups").kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn without_a_dead_letter_queue_nothing_is_lost_and_nothing_is_promised() {
    let account = Account::at(&shared(AwsEmulatorKind::Ministack).url());
    let url = account.queue(&unique("none"), Duration::from_secs(2)).await;
    let config = AwsConfig::queue(url.clone());
    let mut consumer = account.consumer(&config).await;
    assert!(!consumer.capabilities().dead_letters);
    account.sqs.send_message().queue_url(&url).message_body("no event").send().await.expect("it is taken");
    account.publisher(&config).publish(&numbered("s", 1)).await.expect("publishing works");
    let delivery = receive(&mut consumer, 1).await.remove(0);
    assert_eq!(delivery.reject("no").await.expect_err("there is no place").kind(), ErrorKind::Unsupported);
    // Rejected or not, it comes again when its lease ends.
    receive(&mut consumer, 1).await.remove(0).ack().await.expect("acknowledging works");
    consumer.close().await.expect("a consumer closes");
    let direct = account.sqs.receive_message().queue_url(&url).wait_time_seconds(5);
    let left = direct.send().await.expect("the queue answers").messages.unwrap_or_default();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].body.as_deref(), Some("no event"), "what cannot be read stays in the queue");
}

#[tokio::test]
async fn an_event_of_the_largest_size_fits_into_the_dead_letters() {
    let account = Account::at(&shared(AwsEmulatorKind::Ministack).url());
    let config = account.config(&unique("large"), Duration::from_secs(30)).await;
    let publisher = account.publisher(&config);
    let limit = publisher.capabilities().max_event_bytes;
    let payload = serde_json::json!({ "padding": "x".repeat(limit - 200) });
    let event = events_core::Event::new("a.b", "s", payload).expect("the event is valid");
    publisher.publish(&event).await.expect("publishing works");
    let mut consumer = account.consumer(&config).await;
    receive(&mut consumer, 1).await.remove(0).reject("x".repeat(5_000)).await.expect("rejecting works");
    let admin = SqsAdmin::new(account.clients(&config), &config).await.expect("an admin opens");
    let letters = admin.dead_letters(None, TEN).await.expect("listing works");
    assert_eq!(letters[0].reason, DeadLetterReason::Rejected, "the record fits beside it");
    assert_eq!(admin.purge(&[letters[0].id.clone()]).await.expect("purging works"), 1);
    assert_eq!(admin.dead_letters(None, TEN).await.expect("listing works"), []);
}
