//! What the publishing thread knows and the sending thread does not.

use std::fmt::Debug;

use events_core::Headers;

/// Adds headers from what the publishing thread is doing: as a rule the current trace context.
///
/// It is asked on the publishing thread, inside [`publish`](crate::EventManager::publish), and must return at once.
/// What it adds gives way to headers the event has itself.
///
/// With `tracing-opentelemetry` an implementation is three lines: ask the current span for its context, and let the
/// propagator inject `traceparent` and `tracestate` into `headers`.
pub trait ContextSource: Debug + Send + Sync + 'static {
    /// Adds the headers of the present moment, if there are any.
    fn add_headers(&self, headers: &mut Headers);
}
