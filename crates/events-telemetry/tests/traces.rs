//! A span for publishing and one for handling, linked, as OpenTelemetry records them.

#![cfg(feature = "opentelemetry")]

use std::sync::Arc;

use events_core::{ConsumerOptions, Event, EventConsumerExt, EventPublisherExt};
use events_memory::MemoryBroker;
use events_telemetry::{consumer_span, trace_publisher};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

#[tokio::test]
async fn the_span_that_handles_is_linked_to_the_span_that_published() {
    let spans = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let broker = MemoryBroker::default();
    let publisher = trace_publisher(Arc::new(broker.publisher("s")), "s");
    let request = tracing::info_span!("request");
    let event = Event::new("a.b", "src", serde_json::json!({})).unwrap();
    publisher.publish(&event).instrument(request.clone()).await.unwrap();
    drop(request);
    let mut consumer = broker.consumer("s", ConsumerOptions::new("g")).unwrap();
    let delivery = consumer.next().await.unwrap();
    let span = consumer_span("s", delivery.event(), delivery.attempt());
    delivery.ack().instrument(span).await.unwrap();

    let spans = spans.get_finished_spans().unwrap();
    let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (request, producer, handler) = (find("request"), find("publish"), find("process"));
    assert_eq!(producer.span_kind, SpanKind::Producer);
    assert_eq!(producer.parent_span_id, request.span_context.span_id());
    assert_eq!(handler.span_kind, SpanKind::Consumer);
    assert_eq!(handler.links.links.len(), 1);
    let linked = &handler.links.links[0].span_context;
    assert_eq!(linked.span_id(), producer.span_context.span_id());
    assert_eq!(linked.trace_id(), producer.span_context.trace_id());
    assert!(linked.is_remote() && linked.is_sampled());
    assert_eq!(producer.status, Status::Unset);
}

#[tokio::test]
async fn a_batch_that_is_not_published_whole_is_an_error_of_its_span() {
    let spans = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let publisher = trace_publisher(Arc::new(MemoryBroker::default().publisher("s")), "s");
    let large = serde_json::json!({ "x": "x".repeat(2_000_000) });
    let events = [Event::new("a.b", "src", serde_json::json!({})), Event::new("a.b", "src", large)];
    assert!(!publisher.publish_batch(&events.map(Result::unwrap)).await.unwrap().is_complete());
    let spans = spans.get_finished_spans().unwrap();
    assert!(matches!(spans[0].status, Status::Error { .. }), "{spans:?}");
}

#[tokio::test]
async fn the_state_of_a_trace_goes_on_with_it_and_to_no_other() {
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let remote = SpanContext::new(
        TraceId::from_bytes([7; 16]),
        SpanId::from_bytes([7; 8]),
        TraceFlags::SAMPLED,
        true,
        TraceState::from_key_value([("vendor", "1")]).unwrap(),
    );
    let request = tracing::info_span!("request");
    request.set_parent(opentelemetry::Context::new().with_remote_span_context(remote)).unwrap();

    let broker = MemoryBroker::default();
    let publisher = trace_publisher(Arc::new(broker.publisher("s")), "s");
    let own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let events = [
        Event::builder("a.b", "src").build().unwrap(),
        Event::builder("a.b", "src").with_header("traceparent", own).build().unwrap(),
    ];
    assert!(publisher.publish_batch(&events).instrument(request).await.unwrap().is_complete());
    let mut consumer = broker.consumer("s", ConsumerOptions::new("g")).unwrap();
    let (carried, kept) = (consumer.next().await.unwrap(), consumer.next().await.unwrap());
    let parent = carried.headers().get("traceparent").unwrap();
    assert!(parent.contains(&"07".repeat(16)) && parent.ends_with("-01"), "{parent}");
    assert_eq!(carried.headers().get("tracestate"), Some("vendor=1"));
    assert_eq!((kept.headers().get("traceparent"), kept.headers().get("tracestate")), (Some(own), None));
    for delivery in [carried, kept] {
        delivery.ack().await.unwrap();
    }
}

#[tokio::test]
async fn an_event_keeps_the_trace_it_has() {
    let spans = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let broker = MemoryBroker::default();
    let publisher = trace_publisher(Arc::new(broker.publisher("s")), "s");
    let own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let event = Event::builder("a.b", "src").with_header("traceparent", own).build().unwrap();
    publisher.publish(&event).await.unwrap();
    let mut consumer = broker.consumer("s", ConsumerOptions::new("g")).unwrap();
    let delivery = consumer.next().await.unwrap();
    assert_eq!(delivery.headers().get("traceparent"), Some(own));
    delivery.ack().await.unwrap();
}

#[tokio::test]
async fn without_anybody_who_records_an_event_goes_out_as_it_is() {
    let broker = MemoryBroker::default();
    let publisher = trace_publisher(Arc::new(broker.publisher("s")), "s");
    publisher.publish(&Event::new("a.b", "src", serde_json::json!({})).unwrap()).await.unwrap();
    let mut consumer = broker.consumer("s", ConsumerOptions::new("g")).unwrap();
    let delivery = consumer.next().await.unwrap();
    assert!(delivery.headers().is_empty());
    delivery.ack().await.unwrap();
}
