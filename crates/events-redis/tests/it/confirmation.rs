//! Waiting for replicas and disks before an event counts as accepted.

use std::time::Duration;

use events_core::{ErrorKind, EventPublisher};
use events_redis::RedisPublisher;
use test_servers::{RedisServer, ServerGeneration};

use crate::support::*;

const PATIENCE: Duration = Duration::from_millis(300);

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
    let end = tokio::time::Instant::now() + DEADLINE;
    while publisher.publish_batch(&numbered(303..304)).await.unwrap().into_ids().is_err() {
        assert!(tokio::time::Instant::now() < end);
    }
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
