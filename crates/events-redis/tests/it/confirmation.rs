//! Waiting for replicas and disks before an event counts as accepted.

use std::time::Duration;

use events_core::{ErrorKind, EventPublisher};
use events_redis::{RedisConfig, RedisPublisher};
use test_servers::{RedisServer, ServerGeneration};
use tokio::time::Instant;

use crate::proxy::Proxy;
use crate::support::*;

/// How long a confirmation may take; servers on a machine that has more to do need longer than one by itself.
const PATIENCE: Duration = Duration::from_millis(1_500);

fn replica_of(primary: &RedisServer, generation: ServerGeneration) -> RedisServer {
    let port = primary.port().to_string();
    let arguments = ["--replicaof", "127.0.0.1", &port, "--appendonly", "yes"];
    RedisServer::builder().with_generation(generation).with_arguments(arguments).start().expect("a server")
}

async fn replica_follows(primary: &RedisServer) {
    eventually("the replica follows", || {
        let info = command(primary, &["INFO", "replication"]);
        info.text().is_some_and(|text| text.contains("state=online"))
    })
    .await;
}

/// Publishes an event until it is accepted.
async fn publish_stubbornly(publisher: &RedisPublisher, number: u64) {
    let end = Instant::now() + DEADLINE;
    while publisher
        .publish_batch(&numbered(number..number + 1))
        .await
        .is_ok_and(|report| report.into_ids().is_err())
    {
        assert!(Instant::now() < end);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_too_few_replicas_have_is_not_accepted() {
    let primary = server();
    let mut replica = replica_of(&primary, ServerGeneration::Default);
    replica_follows(&primary).await;
    let waiting = config(&primary).with_confirmation(1, false, PATIENCE);
    let publisher = RedisPublisher::connect(&waiting, STREAM).await.unwrap();
    publish(&publisher, 0..300).await;
    let copied = replica.command(&["XLEN", STREAM]).unwrap();
    assert_eq!(copied.integer(), Some(300), "what is accepted is there at once");

    replica.freeze().unwrap();
    let report = publisher.publish_batch(&numbered(300..303)).await.unwrap();
    for outcome in report.outcomes() {
        let error = outcome.as_ref().unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true), "{error:?}");
    }
    assert_eq!(length(&primary), 303, "they may be there, and here they are");
    replica.thaw().unwrap();
    // Once the replica answers again so does publishing.
    publish_stubbornly(&publisher, 303).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_on_the_disks_it_was_asked_to_be_on() {
    let primary = RedisServer::builder()
        .with_generation(ServerGeneration::Redis8)
        .with_arguments(["--appendonly", "yes", "--appendfsync", "everysec"])
        .start()
        .unwrap();
    let patient = Duration::from_millis(1_900);
    let own = config(&primary).with_confirmation(0, true, patient);
    let publisher = RedisPublisher::connect(&own, STREAM).await.unwrap();
    publish(&publisher, 0..10).await;
    assert!(calls(&primary, "waitaof") > 0);
    let both = config(&primary).with_confirmation(1, true, PATIENCE);
    let publisher = RedisPublisher::connect(&both, STREAM).await.unwrap();
    let outcome = publisher.publish_batch(&numbered(10..11)).await.unwrap().into_ids();
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout, "there is no replica");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_confirms_what_was_added_on_another_connection() {
    let server = RedisServer::builder()
        .with_generation(ServerGeneration::Redis8)
        .with_arguments(["--appendonly", "yes"])
        .start()
        .unwrap();
    let proxy = Proxy::start(server.port()).await;
    let config = RedisConfig::new(format!("redis://{}", proxy.address));
    let config = config.with_confirmation(0, true, Duration::from_millis(1_900));
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    publish(&publisher, 0..3).await;
    for events in [numbered(3..4), numbered(4..7)] {
        proxy.lose_an_answer();
        let report = publisher.publish_batch(&events).await.unwrap();
        assert!(!proxy.is_losing());
        for outcome in report.outcomes() {
            // The server behind the new connection might be one that never had it.
            let error = outcome.as_ref().unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true), "{error:?}");
        }
    }
    publish_stubbornly(&publisher, 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disks_that_cannot_be_waited_for_are_refused_before_anything_is_published() {
    for (generation, expected) in [
        (ServerGeneration::Redis6, ErrorKind::Unsupported),
        (ServerGeneration::Default, ErrorKind::Unsupported),
        // It knows the command and writes no file.
        (ServerGeneration::Redis8, ErrorKind::InvalidConfig),
    ] {
        let server = server_of(generation);
        let waiting = config(&server).with_confirmation(0, true, PATIENCE);
        let refused = RedisPublisher::connect(&waiting, STREAM).await.map(drop).unwrap_err();
        assert_eq!(refused.kind(), expected, "{generation:?}: {refused:?}");
        assert!(!refused.is_transient());
    }
}
