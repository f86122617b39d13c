//! The warning about servers that may throw streams away.

use std::sync::{Arc, Mutex};

use events_core::Secret;
use events_redis::{RedisConsumer, RedisPublisher};
use test_servers::RedisServer;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::support::*;

/// Keeps the warnings of the thread it is set on.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{value:?} "));
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().expect("nobody panics with the lock").push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_server_that_may_evict_streams_is_warned_of_once_by_each_who_uses_it() {
    let policy = |policy: &str| ["--maxmemory", "64mb", "--maxmemory-policy", policy].map(str::to_owned);
    for (name, expected) in [("allkeys-lru", 2), ("volatile-lru", 0), ("noeviction", 0)] {
        let server = RedisServer::builder().with_arguments(policy(name)).start().unwrap();
        let warnings = Warnings::default();
        let _guard = tracing::subscriber::set_default(warnings.clone());
        let _publisher = RedisPublisher::connect(&config(&server), STREAM).await.unwrap();
        let _consumer = RedisConsumer::connect(&config(&server), STREAM, options()).await.unwrap();
        let told = warnings.0.lock().unwrap().clone();
        assert_eq!(
            told.iter().filter(|text| text.contains("noeviction")).count(),
            expected,
            "{name}: {told:?}"
        );
    }
}

#[tokio::test]
async fn a_user_who_may_not_ask_is_not_bothered() {
    let server = RedisServer::builder().with_arguments(["--maxmemory", "64mb"]).start().unwrap();
    command(&server, &["ACL", "SETUSER", "few", "on", ">pw", "~*", "+@all", "-info"]);
    let config = config(&server).with_username("few").with_password(Secret::new("pw"));
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let publisher = RedisPublisher::connect(&config, STREAM).await.unwrap();
    publish(&publisher, 0..1).await;
    let told = warnings.0.lock().unwrap().clone();
    assert!(told.is_empty(), "{told:?}");
}
