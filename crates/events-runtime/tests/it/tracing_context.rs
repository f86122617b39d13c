//! Case 64: what a handler publishes belongs to the trace of what it was told.

use std::sync::Arc;

use events_core::Event;
use events_runtime::{Context, EventManager, Failure, ManagerConfig, Worker};

use crate::brokers::{Broker, Memory, on_every_broker};
use crate::support::{DEADLINE, Log, config, options, publish};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn c64_a_trace_survives_and_goes_on(broker: impl Broker) {
    let told =
        Event::builder("first.told", "s").with_header("traceparent", TRACE).with_header("tracestate", "a=1");
    publish(&broker, &[told.build().unwrap()]).await;
    let second = Memory::start();
    let manager = EventManager::new(second.publisher().await, ManagerConfig::default()).unwrap();
    let (publisher, spans) = (manager.clone(), Log::new());
    let seen = spans.clone();
    let report = Worker::new(broker.consumer(options()).await, config())
        .unwrap()
        .with_span(move |context| {
            seen.push(context.headers().get("traceparent").map(str::to_owned));
            tracing::info_span!("mine")
        })
        .on("first.*", move |_: Context, event: Arc<Event>| {
            let manager = publisher.clone();
            async move {
                manager.publish(Event::new("second.told", event.source(), serde_json::json!({}))?);
                Ok::<(), Failure>(())
            }
        })
        .with_limit(1)
        .run()
        .await
        .unwrap();
    assert_eq!(report.acked, 1);
    assert_eq!(manager.close(DEADLINE).await.published, 1);
    let mut consumer = second.consumer(options()).await;
    let delivery = events_core::EventConsumerExt::next(&mut *consumer).await.unwrap();
    assert_eq!(delivery.headers().get("traceparent"), Some(TRACE));
    assert_eq!(delivery.headers().get("tracestate"), Some("a=1"));
    assert_eq!(spans.entries(), [Some(TRACE.to_owned())]);
    delivery.ack().await.unwrap();
}

on_every_broker!(c64_a_trace_survives_and_goes_on);
