//! Single events that are published at the same time go out together, and nobody waits for anybody else's caller.

use std::sync::Arc;
use std::time::Duration;

use events_core::{ErrorKind, Event, EventPublisher, EventPublisherExt, MessageId, Result};
use events_redis::RedisPublisher;
use futures_util::FutureExt;
use test_servers::RedisServer;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

use crate::support::*;

/// How often the server was asked for a command, by name.
fn calls(server: &RedisServer, name: &str) -> u64 {
    let stats = command(server, &["INFO", "commandstats"]);
    let line = stats.text().and_then(|text| {
        text.lines()
            .find_map(|line| line.strip_prefix("cmdstat_")?.strip_prefix(name)?.strip_prefix(":calls="))
    });
    line.map_or(0, |line| line.split(',').next().and_then(|calls| calls.parse().ok()).expect("a number"))
}

fn event(number: u64) -> Event {
    numbered(number..number + 1).remove(0)
}

/// Publishes each event in a task of its own; every task has had its turn when this returns.
async fn publish_apart(publisher: &Arc<RedisPublisher>, count: u64) -> Vec<JoinHandle<Result<MessageId>>> {
    let publish = |number| {
        let (publisher, event) = (Arc::clone(publisher), event(number));
        tokio::spawn(async move { publisher.publish(&event).await })
    };
    let tasks = (0..count).map(publish).collect();
    for _ in 0..10 {
        yield_now().await;
    }
    tasks
}

async fn outcome(task: JoinHandle<Result<MessageId>>) -> Result<MessageId> {
    timeout(DEADLINE, task).await.expect("an outcome in time").expect("a task that was not stopped")
}

// One thread, so that all tasks have begun before the server goes on.
#[tokio::test]
async fn events_that_meet_go_out_in_one_command() {
    let mut server = server();
    let publisher = Arc::new(publisher(&server).await);
    server.freeze().unwrap();
    let tasks = publish_apart(&publisher, 50).await;
    server.thaw().unwrap();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(outcome(task).await.unwrap().to_string());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), calls(&server, "xadd")), (50, 50), "each has an entry and an id of its own");
    // One script finds out whether there are scripts, and one or two carry all but the first event.
    assert!((2..=3).contains(&calls(&server, "eval")), "{} scripts", calls(&server, "eval"));
}

#[tokio::test]
async fn an_event_that_meets_no_other_is_a_command_by_itself() {
    let server = server();
    let publisher = publisher(&server).await;
    for number in 0..20 {
        publisher.publish(&event(number)).await.unwrap();
    }
    assert_eq!((calls(&server, "xadd"), calls(&server, "eval")), (20, 0));
}

// One thread, so that nobody fetches the answer while the first call is made.
#[tokio::test]
async fn a_caller_that_no_longer_looks_holds_up_nobody() {
    let server = server();
    let publisher = Arc::new(publisher(&server).await);
    let (first, second) = (event(0), event(1));
    let mut sent = Box::pin(publisher.publish(&first));
    assert!((&mut sent).now_or_never().is_none(), "the answer cannot be there yet");
    timeout(DEADLINE, publisher.publish(&second)).await.expect("nobody is waited for").unwrap();
    sent.await.unwrap();
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nobody_along() {
    let mut server = server();
    let publisher = Arc::new(publisher(&server).await);
    server.freeze().unwrap();
    let mut tasks = publish_apart(&publisher, 6).await;
    // The first is on its way by itself, the others in one command.
    for at in [3, 0] {
        tasks.remove(at).abort();
    }
    server.thaw().unwrap();
    for task in tasks {
        outcome(task).await.unwrap();
    }
    publisher.publish(&event(6)).await.unwrap();
}

#[tokio::test]
async fn each_event_that_meets_others_has_an_outcome_of_its_own() {
    let mut server = server();
    let publisher = Arc::new(publisher(&server).await);
    server.freeze().unwrap();
    let tasks = publish_apart(&publisher, 5).await;
    let large = Event::new("a.b", "s", serde_json::json!({"large": "x".repeat(2 * 1024 * 1024)})).unwrap();
    assert_eq!(publisher.publish(&large).await.unwrap_err().kind(), ErrorKind::TooLarge);
    server.thaw().unwrap();
    for task in tasks {
        outcome(task).await.unwrap();
    }
    // What the server refuses it refuses to each of them.
    command(&server, &["DEL", STREAM]);
    command(&server, &["SET", STREAM, "no stream"]);
    server.freeze().unwrap();
    let tasks = publish_apart(&publisher, 5).await;
    server.thaw().unwrap();
    for task in tasks {
        assert_eq!(outcome(task).await.unwrap_err().kind(), ErrorKind::InvalidConfig);
    }
}

#[tokio::test]
async fn closing_waits_for_single_events_on_their_way() {
    let mut server = server();
    let publisher = Arc::new(publisher(&server).await);
    server.freeze().unwrap();
    let tasks = publish_apart(&publisher, 40).await;
    let closing = tokio::spawn({
        let publisher = Arc::clone(&publisher);
        async move { publisher.close().await }
    });
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(!closing.is_finished());
    assert_eq!(publisher.publish(&event(40)).await.unwrap_err().kind(), ErrorKind::Closed);
    server.thaw().unwrap();
    for task in tasks {
        outcome(task).await.unwrap();
    }
    timeout(DEADLINE, closing).await.expect("an end in time").unwrap().unwrap();
}

#[tokio::test]
async fn nothing_runs_on_when_all_who_waited_have_gone() {
    let mut server = server();
    let publisher = Arc::new(publisher(&server).await);
    // Once the sending task can be told from what the client needs.
    publisher.publish_batch(&numbered(0..2)).await.unwrap().into_ids().unwrap();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    server.freeze().unwrap();
    let on_their_way = publish_apart(&publisher, 40).await;
    // Two commands are on their way, so these wait, and go before they are sent.
    for gone in publish_apart(&publisher, 40).await {
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
    }
    server.thaw().unwrap();
    for task in on_their_way {
        outcome(task).await.unwrap();
    }
    let ended = async {
        while tasks() > before {
            yield_now().await;
        }
    };
    timeout(DEADLINE, ended).await.expect("the sending task ends");
}

#[tokio::test]
async fn everybody_who_waits_at_a_silent_server_is_told() {
    let mut server = server();
    let config = config(&server).with_command_timeout(Duration::from_millis(300));
    let publisher = Arc::new(RedisPublisher::connect(&config, STREAM).await.unwrap());
    server.freeze().unwrap();
    // More than two commands carry.
    for task in publish_apart(&publisher, 600).await {
        let error = outcome(task).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable), "{error}");
    }
    server.thaw().unwrap();
    timeout(DEADLINE, async { while publisher.publish(&event(0)).await.is_err() {} })
        .await
        .expect("a server that is back");
}
