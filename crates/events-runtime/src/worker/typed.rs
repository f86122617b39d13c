//! Handlers of typed events: their payloads are brought up to date and checked against their schema first.

use std::sync::Arc;

use events_schema::{EventDescription, Reader, TypedEvent};
use futures_util::future::{Either, ready};

use super::builder::Worker;
use super::context::Context;
use super::failure::Failure;

impl Worker {
    /// Handles the events of a type, which `reader` takes from older versions to the present one and checks.
    ///
    /// An event it refuses, because there is no way from its version or because its payload violates the schema, is
    /// dead-lettered at once, and the reason says what is wrong with it and where.
    pub fn on_typed<T, F, Fut, E>(mut self, reader: Reader<T>, handler: F) -> Self
    where
        T: TypedEvent,
        F: Fn(Context, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Failure> + Send + 'static,
    {
        self.typed_events.push(reader.description().clone());
        let reader = Arc::new(reader);
        self.on(T::TYPE, move |context: Context| match reader.read(context.event()) {
            Ok(payload) => {
                let handled = handler(context, payload);
                Either::Left(async move { handled.await.map_err(Into::into) })
            }
            Err(refused) => Either::Right(ready(Err(Failure::permanent(refused)))),
        })
    }

    /// The events its handlers of typed events read, in the order they were registered: what an AsyncAPI document says
    /// the service receives.
    pub fn typed_events(&self) -> &[EventDescription] {
        &self.typed_events
    }
}
