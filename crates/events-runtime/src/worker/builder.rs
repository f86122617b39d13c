//! Puts a worker together.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use events_core::{Event, EventConsumer, Result};
use tracing::Span;

use super::config::WorkerConfig;
use super::context::Context;
use super::crew::Method;
use super::dispatch::{Dispatcher, KeyOf, Until};
use super::handler::{Handler, erase};
use super::middleware::Middleware;
use super::report::WorkerReport;
use super::router::Router;
use super::trace::{MakeSpan, default_span};

/// Runs handlers on the events of a consumer group.
///
/// An event is acknowledged once its handler has returned `Ok`, and at no other time. A failure is tried again by the
/// [policy](super::RetryPolicy); what cannot get better is dead-lettered; a panic is a failure like any other.
///
/// ```
/// use events_runtime::{Context, Typed, Worker, WorkerConfig};
///
/// #[derive(serde::Deserialize)]
/// struct Users { users: Vec<String> }
///
/// async fn greet(_: Context, users: Typed<Users>) -> Result<(), std::io::Error> {
///     assert!(!users.users.is_empty());
///     Ok(())
/// }
///
/// # async fn serve(consumer: Box<dyn events_core::EventConsumer>) -> events_core::Result<()> {
/// Worker::new(consumer, WorkerConfig::default())?.on("slack-usergroups.*", greet).run().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a worker does nothing until it is run"]
pub struct Worker {
    consumer: Box<dyn EventConsumer>,
    config: WorkerConfig,
    router: Router,
    key_of: Option<KeyOf>,
    make_span: MakeSpan,
    until: Until,
    /// What its handlers of typed events read.
    #[cfg(feature = "schema")]
    pub(super) typed_events: Vec<events_schema::EventDescription>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("consumer", &self.consumer)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Worker {
    /// A worker without handlers.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) for settings that cannot work.
    pub fn new(consumer: Box<dyn EventConsumer>, config: WorkerConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            consumer,
            config,
            router: Router::default(),
            key_of: None,
            make_span: Arc::new(default_span),
            until: Until::default(),
            #[cfg(feature = "schema")]
            typed_events: Vec::new(),
        })
    }

    /// Handles the events whose type matches `pattern`; the handler that was registered first counts.
    ///
    /// In a pattern `*` stands for any one word between dots, or a part of one, and `**` for any number of words.
    pub fn on<A>(mut self, pattern: &str, handler: impl Handler<A>) -> Self {
        self.router.add(pattern, erase(handler));
        self
    }

    /// Handles the events no pattern matches. Default: [`unmatched`](WorkerConfig::unmatched) says what becomes of them.
    pub fn otherwise<A>(mut self, handler: impl Handler<A>) -> Self {
        self.router.set_fallback(erase(handler));
        self
    }

    /// Does something around every handler; the one added first is the outermost.
    pub fn with(mut self, middleware: impl Middleware) -> Self {
        self.router.add_middleware(Arc::new(middleware));
        self
    }

    /// Handles events of the same key one after the other, in the order of the stream; those of different keys, and those
    /// without one, run side by side.
    ///
    /// An event that fails is tried again in place, and those behind it wait, until it succeeds or is dead-lettered. The
    /// order holds within one worker: several workers of a group share its events whatever their keys.
    pub fn in_order_of<K: Hash>(mut self, key: impl Fn(&Event) -> Option<K> + Send + Sync + 'static) -> Self {
        self.key_of = Some(Arc::new(move |event| {
            let mut hasher = DefaultHasher::new();
            key(event)?.hash(&mut hasher);
            Some(hasher.finish())
        }));
        self
    }

    /// Makes the span each handler runs in.
    ///
    /// The default names the event and, from its `traceparent`, the trace and span that produced it. With
    /// `tracing-opentelemetry` make a span here and set its parent from [`Context::headers`].
    pub fn with_span(mut self, make: impl Fn(&Context) -> Span + Send + Sync + 'static) -> Self {
        self.make_span = Arc::new(make);
        self
    }

    /// Takes this many events, sees them through, and ends.
    pub fn with_limit(mut self, events: u64) -> Self {
        self.until.taken = Some(events);
        self
    }

    /// Ends once the broker has nothing to give and everything is seen through. What waits at the broker for its next
    /// attempt is not waited for.
    pub fn until_drained(mut self) -> Self {
        self.until.drained = true;
        self
    }

    /// Works until there is nothing more to do, which without a limit is never.
    ///
    /// # Errors
    ///
    /// That of the consumer when it fails for good; what was under way is seen through first, as on a stop.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the handlers where they wait; their events come again when their leases end.
    pub async fn run(self) -> Result<WorkerReport> {
        self.run_until(std::future::pending()).await
    }

    /// Works until `stop` completes, and then stops gracefully: takes nothing more, gives back at once what no handler has
    /// begun, lets handlers finish for at most [`stop_timeout`](WorkerConfig::stop_timeout), acknowledges what they finished
    /// and gives back what they did not. A stop dead-letters nothing.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    pub async fn run_until(self, stop: impl Future<Output = ()> + Send) -> Result<WorkerReport> {
        let Self { consumer, config, router, key_of, make_span, until, .. } = self;
        let routes = router.into_routes(config.unmatched);
        let method = Method { routes, timeout: config.timeout, make_span };
        let capabilities = consumer.capabilities();
        Dispatcher::new(config, capabilities, method, key_of, until).run(consumer, stop).await
    }
}
