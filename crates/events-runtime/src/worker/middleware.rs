//! What happens around every handler.

use std::fmt;
use std::fmt::Debug;
use std::sync::Arc;

use events_core::async_trait;
use futures_util::future::BoxFuture;

use super::context::Context;
use super::handler::{AnyHandler, Outcome};

/// Something that happens around every handler: it may look, wait, refuse, or do without.
///
/// `Ok` means that the event is done with and is acknowledged, whether or not a handler saw it.
///
/// This is a trait of one method rather than a `tower` layer on purpose. An event needs no readiness, no mutable service,
/// and no boxed error whose meaning is lost on the way; with `tower` each event would pay for a cloned service, and each
/// author of a middleware would write `poll_ready`, to arrive at the same `before, next, after`.
#[async_trait]
pub trait Middleware: Debug + Send + Sync + 'static {
    /// Handles an event by calling `next`, or not.
    async fn handle(&self, context: Context, next: Next<'_>) -> Outcome;
}

/// What comes after a middleware: the next one, or the handler.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    middleware: &'a [Arc<dyn Middleware>],
    handler: &'a AnyHandler,
}

impl Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("middleware", &self.middleware).finish_non_exhaustive()
    }
}

impl Next<'_> {
    /// Goes on.
    ///
    /// # Errors
    ///
    /// What the handler, or a middleware before it, failed with.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the handler where it waits.
    pub async fn run(self, context: Context) -> Outcome {
        match self.middleware.split_first() {
            Some((first, middleware)) => first.handle(context, Self { middleware, ..self }).await,
            None => (self.handler)(context).await,
        }
    }
}

/// Runs a handler inside the middleware, outermost first; without any, that is the handler itself.
pub(crate) fn wrap(
    middleware: &Arc<[Arc<dyn Middleware>]>,
    handler: &AnyHandler,
    context: Context,
) -> BoxFuture<'static, Outcome> {
    if middleware.is_empty() {
        return handler(context);
    }
    let (middleware, handler) = (Arc::clone(middleware), Arc::clone(handler));
    Box::pin(async move { Next { middleware: &middleware, handler: &handler }.run(context).await })
}
