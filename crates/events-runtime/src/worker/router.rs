//! Finds the handler for an event.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::config::Unmatched;
use super::context::Context;
use super::failure::Failure;
use super::handler::{AnyHandler, Outcome};
use super::middleware::{Middleware, wrap};
use super::pattern::Pattern;

/// The handlers of a worker, and what happens around them.
#[derive(Default)]
pub(crate) struct Router {
    handlers: Vec<(Pattern, AnyHandler)>,
    fallback: Option<AnyHandler>,
    middleware: Vec<Arc<dyn Middleware>>,
}

impl Router {
    pub(crate) fn add(&mut self, pattern: &str, handler: AnyHandler) {
        self.handlers.push((Pattern::new(pattern), handler));
    }

    pub(crate) fn set_fallback(&mut self, handler: AnyHandler) {
        self.fallback = Some(handler);
    }

    pub(crate) fn add_middleware(&mut self, middleware: Arc<dyn Middleware>) {
        self.middleware.push(middleware);
    }

    pub(crate) fn into_routes(self, unmatched: Unmatched) -> Routes {
        Routes {
            handlers: self.handlers,
            fallback: self.fallback,
            middleware: self.middleware.into(),
            unmatched,
        }
    }
}

/// The handlers of a worker that runs.
pub(crate) struct Routes {
    handlers: Vec<(Pattern, AnyHandler)>,
    fallback: Option<AnyHandler>,
    middleware: Arc<[Arc<dyn Middleware>]>,
    unmatched: Unmatched,
}

impl Routes {
    /// Handles an event by the first handler whose pattern matches.
    pub(crate) fn handle(&self, context: Context) -> BoxFuture<'static, Outcome> {
        let event_type = context.event().event_type();
        let matching = self.handlers.iter().find(|(pattern, _)| pattern.matches(event_type));
        match matching.map(|(_, handler)| handler).or(self.fallback.as_ref()) {
            Some(handler) => wrap(&self.middleware, handler, context),
            None => Box::pin(std::future::ready(self.unmatched(event_type))),
        }
    }

    fn unmatched(&self, event_type: &str) -> Outcome {
        match self.unmatched {
            Unmatched::Ack => Ok(()),
            Unmatched::DeadLetter => Err(Failure::permanent(format!("no handler for {event_type:?}"))),
        }
    }
}
