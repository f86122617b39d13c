//! The producer's trace, carried on: a span around the handler, and headers for what the handler publishes.

use std::sync::Arc;

use tracing::Span;
use tracing::field::Empty;

use super::context::Context;
use crate::HeaderScope;

/// What the W3C calls the headers of a trace.
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Makes the span a handler runs in.
pub(crate) type MakeSpan = Arc<dyn Fn(&Context) -> Span + Send + Sync>;

/// The span of a worker that was not given another: it names the event, and the trace and span that produced it.
pub(crate) fn default_span(context: &Context) -> Span {
    let event = context.event();
    let span = tracing::info_span!(
        "handle event",
        event_type = event.event_type(),
        event_id = event.id().unwrap_or_default(),
        message_id = %context.message_id(),
        attempt = context.attempt(),
        trace_id = Empty,
        parent_span_id = Empty,
    );
    if !span.is_disabled()
        && let Some((trace_id, span_id)) = context.headers().get(TRACEPARENT).and_then(ids)
    {
        span.record("trace_id", trace_id).record("parent_span_id", span_id);
    }
    span
}

/// The scope in which a handler publishes: what it tells belongs to the trace of what it was told.
pub(crate) fn scope(context: &Context) -> Option<HeaderScope> {
    let headers = context.headers();
    let mut scope = HeaderScope::new().with(TRACEPARENT, headers.get(TRACEPARENT)?);
    if let Some(state) = headers.get(TRACESTATE) {
        scope = scope.with(TRACESTATE, state);
    }
    Some(scope)
}

/// Trace and span of `00-<32 hex digits>-<16 hex digits>-<flags>`.
fn ids(traceparent: &str) -> Option<(&str, &str)> {
    let mut parts = traceparent.split('-');
    let (_version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex(trace, 32) && hex(span, 16)).then_some((trace, span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_names_trace_and_span() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(ids(good), Some(("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")));
        for bad in [
            "",
            "00",
            "00-0af7-b7ad6b7169203331-01",
            "00-zzf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(ids(bad), None, "{bad}");
        }
    }
}
