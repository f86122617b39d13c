//! The platform's services of today, which speak FastStream and CloudEvents, on the other side of the same stream.

use std::path::Path;
use std::process::Command;

use events_core::wire::Encoding;
use events_core::{Event, EventConsumerExt, EventPublisherExt};
use events_factory::{EventsConfig, create_event_consumer, create_event_publisher};
use events_system_tests::Running;
use serde_json::{Value, json};
use test_servers::{PythonEnv, RedisServer};

use crate::broker::{GROUP, STREAM, pending, redis};

/// The two forms FastStream has, each written by a FastStream that writes it.
const FORMS: [Encoding; 2] = [Encoding::FastStream, Encoding::FastStreamJson];

fn faststream(form: Encoding, verb: &str, redis: &RedisServer) -> Command {
    let environment = PythonEnv::with_modules(&["faststream.redis", "pydantic"]).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/faststream_app.py");
    let mut command = match form {
        Encoding::FastStreamJson => environment.script_with_older_faststream(&script).unwrap(),
        _ => environment.script(&script),
    };
    command.args([verb, redis.url(), STREAM]);
    command
}

fn config(redis: &RedisServer) -> EventsConfig {
    EventsConfig::new(redis.url()).with_stream_key(STREAM).with_consumer_group(GROUP)
}

#[tokio::test]
async fn what_faststream_publishes_is_consumed_with_its_headers() {
    for form in FORMS {
        let redis = redis();
        let data = [json!({"users": ["alice"], "n": 1.5}), json!("hello"), json!([1, 2]), Value::Null];
        let input: String = data
            .iter()
            .map(|data| {
                let event = json!({
                    "source": "qontract_api.tasks", "type": "qontract-api.slack-usergroups.update_users", "id": "1",
                    "time": "2026-02-10T12:00:00.123456Z", "data": data, "subject": "team-a",
                });
                let headers = json!({"request_id": "abc-123", "user": "Zoë", "traceparent": "00-1"});
                format!("{}\n", json!({"event": event, "headers": headers}))
            })
            .collect();
        let publish = Running::start_with_input(faststream(form, "publish", &redis), input).unwrap();
        publish.finish().unwrap().success().unwrap();

        let mut consumer = create_event_consumer(&config(&redis)).await.unwrap();
        for data in data {
            let delivery = consumer.next().await.unwrap();
            let event = delivery.event();
            assert_eq!(event.event_type(), "qontract-api.slack-usergroups.update_users", "{form}");
            assert_eq!((event.source(), event.id()), ("qontract_api.tasks", Some("1")), "{form}");
            assert_eq!(event.timestamp(), time::macros::datetime!(2026-02-10 12:00:00.123456 UTC), "{form}");
            assert_eq!(event.subject(), Some("team-a"), "{form}");
            assert_eq!(event.payload_as::<Value>().unwrap(), data, "{form}");
            let headers: Vec<_> = event.headers().iter().collect();
            let wanted = [
                ("correlation_id", "corr-1"),
                ("request_id", "abc-123"),
                ("traceparent", "00-1"),
                ("user", "Zoë"),
            ];
            assert_eq!(headers, wanted, "{form}");
            delivery.ack().await.unwrap();
        }
        assert_eq!(pending(&redis), 0);
    }
}

#[tokio::test]
async fn what_is_published_here_a_faststream_subscriber_gets_with_its_headers() {
    for form in FORMS {
        let redis = redis();
        // FastStream makes its group at the end of the stream, so the group is there before it.
        redis.command(&["XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM"]).unwrap();
        let publisher = create_event_publisher(&config(&redis).with_encoding(form)).await.unwrap();
        let event = || {
            Event::builder("slack-usergroups.update_users", "qontract-api")
                .with_id("17")
                .with_timestamp(time::macros::datetime!(2026-02-10 12:00:00.123456 UTC))
                .with_subject("team-a")
                .with_headers([("correlation_id", "corr-2"), ("traceparent", "00-1"), ("user", "Zoë 東京")])
        };
        let data = [json!({"users": ["Zoë"], "n": 1}), json!("hello"), json!([1, 2]), Value::Null];
        for data in &data {
            publisher.publish(&event().with_any_payload(data).build().unwrap()).await.unwrap();
        }

        let mut subscribe = faststream(form, "subscribe", &redis);
        subscribe.args([GROUP, &data.len().to_string()]);
        let lines = Running::start(subscribe).unwrap().finish().unwrap().success().unwrap();
        let read: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read.len(), data.len(), "{form}");
        for (read, data) in read.iter().zip(data) {
            let content_type = if data.is_null() { Value::Null } else { json!("application/json") };
            let wanted = json!({
                "source": "qontract-api", "type": "slack-usergroups.update_users", "id": "17", "specversion": "1.0",
                "time": "2026-02-10T12:00:00.123456Z", "data": data, "datacontenttype": content_type,
                "dataschema": null, "subject": "team-a",
            });
            assert_eq!(read["event"], wanted, "{form}");
            let headers = json!({
                "content-type": "application/json", "correlation_id": "corr-2", "traceparent": "00-1", "user": "Zoë 東京",
            });
            assert_eq!(read["headers"], headers, "{form}");
        }
        assert_eq!(pending(&redis), 0, "FastStream acknowledges what its subscriber has handled");
    }
}
