//! A service that hangs, dies and comes back, and processes that die.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use events_aws::AwsConfig;
use events_core::{Event, EventConsumer, EventPublisher, EventPublisherExt};
use test_servers::{AwsEmulator, AwsEmulatorKind};
use tokio::net::TcpListener;

use crate::emulator::{Account, DEADLINE, number, numbered, receive, unique};

const HUNDRED: NonZeroUsize = NonZeroUsize::new(100).expect("a hundred is not zero");

/// Set for the process that a test starts and kills.
const VICTIM: &str = "EVENTS_AWS_TEST_VICTIM";

#[tokio::test]
async fn a_black_hole_ends_every_call_within_its_stated_time() {
    let hole = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", hole.local_addr().expect("the port is bound"));
    let mut config = AwsConfig::queue(format!("{url}/1/q"));
    config.call_timeout = Duration::from_millis(500);
    config.publish_timeout = Duration::from_secs(2);
    config.poll_wait = Duration::from_secs(1);
    let account = Account::at(&url);
    // Twice what is stated guards against a hang and measures nothing.
    let events: Vec<Event> = (0..1_000).map(|n| numbered("s", n)).collect();
    let publisher = account.publisher(&config);
    let report = tokio::time::timeout(Duration::from_secs(4), publisher.publish_batch(&events)).await;
    let report = report.expect("a publish ends in time").expect("it is sent");
    assert!(
        report.outcomes().iter().all(|outcome| outcome.as_ref().is_err_and(|error| error.is_transient()))
    );
    let mut consumer = account.consumer(&config).await;
    let received = tokio::time::timeout(
        Duration::from_secs(10),
        consumer.receive(NonZeroUsize::MIN, Duration::from_secs(1)),
    );
    let error = received.await.expect("a receive ends in time").expect_err("nobody answers");
    assert!(error.is_transient());
    tokio::time::timeout(Duration::from_secs(10), consumer.close())
        .await
        .expect("closing ends")
        .expect("it closes");
    drop(hole);
}

/// Receives and acknowledges until `done`, passing over what is transient; returns the numbers seen.
async fn consume(account: Account, config: AwsConfig, done: Arc<AtomicBool>) -> BTreeSet<usize> {
    let mut consumer = account.consumer(&config).await;
    let (mut seen, end) = (BTreeSet::new(), Instant::now() + DEADLINE * 2);
    loop {
        assert!(Instant::now() < end, "only {} events", seen.len());
        let finished = done.load(Ordering::SeqCst);
        match consumer.receive(HUNDRED, Duration::from_secs(1)).await {
            Ok(deliveries) if deliveries.is_empty() && finished => return seen,
            Ok(deliveries) => {
                seen.extend(deliveries.iter().map(number));
                for (_, error) in events_core::ack_all(deliveries).await.failed {
                    assert!(error.is_transient(), "{error:?}");
                }
            }
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loses_nothing_accepted_when_the_service_restarts_under_load() {
    let mut emulator = AwsEmulator::start(AwsEmulatorKind::Ministack).expect("ministack starts");
    let account = Account::at(&emulator.url());
    let config = account.config("restarts", Duration::from_secs(3)).await;
    let done = Arc::new(AtomicBool::new(false));
    let consumer = tokio::spawn(consume(account.clone(), config.clone(), Arc::clone(&done)));
    let publisher = account.publisher(&config);
    let publishing = tokio::spawn(async move {
        let mut accepted = BTreeSet::new();
        for batch in 0..60 {
            let numbers: Vec<usize> = (batch * 20..batch * 20 + 20).collect();
            let events: Vec<Event> = numbers.iter().map(|n| numbered("s", *n)).collect();
            let report = publisher.publish_batch(&events).await.expect("it is sent");
            for (n, outcome) in numbers.into_iter().zip(report.into_outcomes()) {
                match outcome {
                    Ok(_) => {
                        accepted.insert(n);
                    }
                    Err(error) => assert!(error.is_transient(), "{error:?}"),
                }
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        accepted
    });
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        emulator = tokio::task::spawn_blocking(move || {
            emulator.restart().expect("ministack comes back");
            emulator
        })
        .await
        .expect("restarting does not panic");
    }
    let accepted = publishing.await.expect("the publisher lives on");
    // What was in flight when the service went away is given out again when its lease ends.
    tokio::time::sleep(Duration::from_secs(4)).await;
    done.store(true, Ordering::SeqCst);
    let seen = consumer.await.expect("the consumer lives on");
    assert!(!accepted.is_empty());
    assert!(accepted.is_subset(&seen), "lost: {:?}", accepted.difference(&seen));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_service_is_noticed_and_reading_goes_on_afterwards() {
    let mut emulator = AwsEmulator::start(AwsEmulatorKind::Ministack).expect("ministack starts");
    let account = Account::at(&emulator.url());
    let mut config = account.config("frozen", Duration::from_secs(30)).await;
    config.call_timeout = Duration::from_secs(1);
    let mut consumer = account.consumer(&config).await;
    emulator.freeze().expect("ministack freezes");
    let error = consumer.receive(HUNDRED, Duration::ZERO).await.expect_err("nobody answers");
    assert!(error.is_transient());
    emulator.thaw().expect("ministack continues");
    account.publisher(&config).publish(&numbered("s", 7)).await.expect("publishing works again");
    let end = Instant::now() + DEADLINE;
    loop {
        assert!(Instant::now() < end, "reading does not go on");
        match consumer.receive(HUNDRED, Duration::from_secs(1)).await {
            Ok(deliveries) if deliveries.is_empty() => {}
            Ok(mut deliveries) => {
                assert_eq!(number(&deliveries[0]), 7);
                deliveries.remove(0).ack().await.expect("acknowledging works");
                break;
            }
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
    }
}

/// What the killed process runs: it consumes as fast as it can and prints what it has acknowledged.
#[tokio::test]
#[ignore = "started, and killed, by loses_nothing_when_a_consumer_is_killed"]
async fn victim() {
    let Ok(queue_url) = std::env::var(VICTIM) else { return };
    let config = AwsConfig::queue(queue_url.clone());
    let endpoint = queue_url.split("/000000000000").next().expect("the queue has an account");
    let mut consumer = Account::at(endpoint).consumer(&config).await;
    loop {
        for delivery in consumer.receive(HUNDRED, Duration::from_secs(1)).await.expect("receiving works") {
            let n = number(&delivery);
            println!("acked {n}");
            delivery.ack().await.expect("acknowledging works");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loses_nothing_when_a_consumer_is_killed() {
    let emulator = AwsEmulator::start(AwsEmulatorKind::Ministack).expect("ministack starts");
    let account = Account::at(&emulator.url());
    let config = account.config(&unique("killed"), Duration::from_secs(5)).await;
    let events: Vec<Event> = (0..500).map(|n| numbered("s", n)).collect();
    let report = account.publisher(&config).publish_batch(&events).await.expect("it is sent");
    assert!(report.is_complete());
    let queue_url = config.queue_url.clone().expect("a queue is configured");
    let output = tokio::task::spawn_blocking(move || {
        use std::io::{BufRead, BufReader};
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--ignored", "--exact", "--nocapture", "faults::victim"])
            .env(VICTIM, queue_url)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the victim starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let acked = |line: String| line.split_once("acked ").and_then(|(_, n)| n.parse::<usize>().ok());
        let mut handled: BTreeSet<usize> =
            lines.by_ref().map_while(Result::ok).filter_map(acked).take(100).collect();
        child.kill().expect("the victim is killed");
        child.wait().expect("the victim ends");
        handled.extend(lines.map_while(Result::ok).filter_map(acked));
        handled
    });
    let mut seen = output.await.expect("watching the victim does not panic");
    assert!(seen.len() >= 100 && seen.len() < 500, "the victim was killed in the middle: {}", seen.len());
    let mut consumer = account.consumer(&config).await;
    let end = Instant::now() + DEADLINE;
    while seen.len() < 500 {
        assert!(Instant::now() < end, "{} of 500", seen.len());
        let deliveries = consumer.receive(HUNDRED, Duration::from_secs(1)).await.expect("receiving works");
        seen.extend(deliveries.iter().map(number));
        assert!(events_core::ack_all(deliveries).await.failed.is_empty());
    }
    assert_eq!(seen, (0..500).collect());
}

#[tokio::test]
async fn a_consumer_that_starts_before_its_service_reads_once_it_is_there() {
    let mut emulator = AwsEmulator::start(AwsEmulatorKind::Ministack).expect("ministack starts");
    let account = Account::at(&emulator.url());
    let config = account.config("late", Duration::from_secs(30)).await;
    account.publisher(&config).publish(&numbered("s", 3)).await.expect("publishing works");
    emulator.stop().expect("ministack stops");
    let mut consumer = account.consumer(&config).await;
    let error = consumer.receive(HUNDRED, Duration::ZERO).await.expect_err("nobody is there");
    assert!(error.is_transient());
    emulator.restart().expect("ministack comes back");
    assert_eq!(number(&receive(&mut consumer, 1).await[0]), 3);
}
