//! How dead letters lie at the server.

use events_core::wire::RawMessage;
use events_core::{DeadLetterReason, EventAdmin};
use events_redis::{RedisAdmin, RedisConsumer, RedisPublisher};
use test_servers::Reply;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_lies_beside_its_stream_with_all_that_is_known() {
    for (stream, dead) in [("plain", "{plain}:dlq"), ("a{b}c", "a{b}c:dlq"), ("odd}", "odd}:dlq")] {
        let server = server();
        let config = config(&server);
        let publisher = RedisPublisher::connect(&config, stream).await.unwrap();
        let mut consumer = RedisConsumer::connect(&config, stream, options()).await.unwrap();
        let event =
            events_core::Event::builder("a.b", "s").with_header("traceparent", "00-1").build().unwrap();
        let id = events_core::EventPublisherExt::publish(&publisher, &event).await.unwrap();
        receive_one(&mut consumer).await.reject("no such customer").await.unwrap();
        assert_eq!(command(&server, &["XLEN", dead]), Reply::Integer(1));
        assert_eq!(command(&server, &["XPENDING", stream, GROUP]).array().unwrap()[0], Reply::Integer(0));
        let admin = RedisAdmin::connect(&config, stream).await.unwrap();
        let letter = admin.dead_letters(None, BATCH).await.unwrap().pop().unwrap();
        assert_eq!(letter.reason, DeadLetterReason::Rejected);
        assert_eq!(letter.detail.as_deref(), Some("no such customer"));
        assert_eq!((letter.stream.as_str(), letter.group.as_str(), letter.attempts), (stream, GROUP, 1));
        assert_eq!(letter.origin_id, id);
        assert_eq!(letter.message, RawMessage::from(&events_core::wire::encode(&event)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_event_are_kept_as_they_are() {
    let server = server();
    let mut consumer = consumer(&server).await;
    let many: Vec<(Vec<u8>, Vec<u8>)> = (0..5_000).map(|n| (format!("f{n}").into(), b"v".to_vec())).collect();
    let messages =
        [vec![(b"\xff\x00".to_vec(), b"\xfe\r\n".to_vec())], vec![(b"event".to_vec(), Vec::new())], many];
    for fields in &messages {
        let mut words = vec![b"XADD".to_vec(), STREAM.into(), b"*".to_vec()];
        words.extend(fields.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
        crate::raw::command(server.port(), &words);
    }
    publish(&publisher(&server).await, 0..1).await;
    let neighbour = receive_one(&mut consumer).await;
    assert_eq!(number(&neighbour), 0);
    let admin = RedisAdmin::connect(&config(&server), STREAM).await.unwrap();
    let letters = admin.dead_letters(None, BATCH).await.unwrap();
    let kept: Vec<_> = letters.iter().map(|letter| letter.message.fields.clone()).collect();
    assert_eq!(kept.len(), messages.len());
    for fields in &messages {
        assert!(kept.contains(fields));
    }
    assert!(
        letters
            .iter()
            .all(|letter| letter.reason == DeadLetterReason::Undecodable && letter.detail.is_some())
    );
    assert_eq!(pending(&server), 1);
}
