//! What can handle an event: async functions of its typed payload, or of the event as it is.

use std::ops::Deref;
use std::sync::Arc;

use events_core::{Event, Result};
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::context::Context;
use super::failure::Failure;

/// What becomes of an event in a handler.
pub type Outcome = std::result::Result<(), Failure>;

/// The event's payload as a type of the handler's. A payload that does not fit is dead-lettered with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Typed<T>(pub T);

impl<T> Deref for Typed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What a handler can ask for as its second argument.
pub trait FromContext: Sized {
    /// Takes it out of the context.
    ///
    /// # Errors
    ///
    /// When the event does not have it; the event is dead-lettered with the reason.
    fn from_context(context: &Context) -> Result<Self>;
}

impl<T: DeserializeOwned> FromContext for Typed<T> {
    fn from_context(context: &Context) -> Result<Self> {
        context.event().payload_as().map(Self)
    }
}

impl FromContext for Arc<Event> {
    fn from_context(context: &Context) -> Result<Self> {
        Ok(context.shared_event())
    }
}

/// An async function of a [`Context`], and of what it wants to have taken out of it: [`Typed`] for the payload as a type,
/// `Arc<Event>` for the event as it is.
///
/// Any error that converts into a [`Failure`] can be returned: every [`std::error::Error`], `anyhow::Error`, and text.
pub trait Handler<A>: Send + Sync + 'static {
    /// Handles one event.
    fn handle(&self, context: Context) -> BoxFuture<'static, Outcome>;
}

impl<F, Fut, A, E> Handler<(A,)> for F
where
    F: Fn(Context, A) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = std::result::Result<(), E>> + Send + 'static,
    A: FromContext,
    E: Into<Failure>,
{
    fn handle(&self, context: Context) -> BoxFuture<'static, Outcome> {
        match A::from_context(&context) {
            Ok(argument) => {
                let handled = self(context, argument);
                Box::pin(async move { handled.await.map_err(Into::into) })
            }
            Err(misfit) => Box::pin(std::future::ready(Err(Failure::permanent(misfit)))),
        }
    }
}

impl<F, Fut, E> Handler<()> for F
where
    F: Fn(Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = std::result::Result<(), E>> + Send + 'static,
    E: Into<Failure>,
{
    fn handle(&self, context: Context) -> BoxFuture<'static, Outcome> {
        let handled = self(context);
        Box::pin(async move { handled.await.map_err(Into::into) })
    }
}

/// A handler whose arguments are forgotten, so that handlers of different ones stand in one list.
pub(crate) type AnyHandler = Arc<dyn Fn(Context) -> BoxFuture<'static, Outcome> + Send + Sync>;

pub(crate) fn erase<A>(handler: impl Handler<A>) -> AnyHandler {
    Arc::new(move |context| handler.handle(context))
}
