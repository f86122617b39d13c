//! Spans of OpenTelemetry: one for publishing, and one for handling that is linked to it.

use std::sync::Arc;

use events_core::{Capabilities, Event, EventPublisher, Headers, PublishReport, Result, async_trait};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId};
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// What the W3C calls the headers of a trace.
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// A publisher whose batches are spans, and whose events carry the span on in `traceparent`.
///
/// An event that has a `traceparent` already keeps it. Needs the layer of `tracing-opentelemetry`; without it events go out as
/// they are.
pub fn trace_publisher(inner: Arc<dyn EventPublisher>, stream: &str) -> Arc<dyn EventPublisher> {
    Arc::new(TracedPublisher { inner, stream: stream.to_owned() })
}

#[derive(Debug)]
struct TracedPublisher {
    inner: Arc<dyn EventPublisher>,
    stream: String,
}

#[async_trait]
impl EventPublisher for TracedPublisher {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn publish_batch(&self, events: &[Event]) -> Result<PublishReport> {
        let span = tracing::info_span!(
            "publish",
            otel.kind = "producer",
            otel.status_code = field::Empty,
            messaging.operation.type = "send",
            messaging.destination.name = self.stream,
            messaging.batch.message_count = events.len(),
        );
        let carried = carried(&span);
        let report = if carried.is_empty() {
            self.inner.publish_batch(events).instrument(span.clone()).await
        } else {
            let traced: Vec<Event> = events.iter().map(|event| with_trace(event, &carried)).collect();
            self.inner.publish_batch(&traced).instrument(span.clone()).await
        };
        if !report.as_ref().is_ok_and(PublishReport::is_complete) {
            span.record("otel.status_code", "ERROR");
        }
        report
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

/// The headers that carry a span on; none where nobody records it.
fn carried(span: &Span) -> Vec<(&'static str, String)> {
    let context = span.context();
    let context = context.span().span_context().clone();
    if !context.is_valid() {
        return Vec::new();
    }
    let flags = context.trace_flags().to_u8();
    let parent = format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id());
    let state = context.trace_state().header();
    let mut headers = vec![(TRACEPARENT, parent)];
    if !state.is_empty() {
        headers.push((TRACESTATE, state));
    }
    headers
}

fn with_trace(event: &Event, carried: &[(&'static str, String)]) -> Event {
    if event.headers().get(TRACEPARENT).is_some() {
        return event.clone();
    }
    // The names are not reserved, so this is always the event with its trace.
    event.clone().with_missing_headers(carried.iter().cloned()).unwrap_or_else(|_| event.clone())
}

/// A span for handling an event, linked to the span it was published in. For `Worker::with_span`, or a loop of one's own.
///
/// A link rather than a parent: an event may be handled much later, by several groups, and several times.
pub fn consumer_span(stream: &str, event: &Event, attempt: u32) -> Span {
    let span = tracing::info_span!(
        "process",
        otel.kind = "consumer",
        messaging.operation.type = "process",
        messaging.destination.name = stream,
        messaging.message.id = event.id().unwrap_or_default(),
        event_type = event.event_type(),
        attempt,
    );
    if let Some(producer) = producer(event.headers()) {
        span.add_link(producer);
    }
    span
}

/// The span an event was published in, by `00-<32 hex digits>-<16 hex digits>-<flags>`.
fn producer(headers: &Headers) -> Option<SpanContext> {
    let mut parts = headers.get(TRACEPARENT)?.split('-');
    let (_version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if trace.len() != 32 || span.len() != 16 {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let state = headers.get(TRACESTATE).and_then(|state| state.parse().ok()).unwrap_or_default();
    let context =
        SpanContext::new(TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?, flags, true, state);
    context.is_valid().then_some(context)
}
