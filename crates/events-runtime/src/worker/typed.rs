//! Handlers of typed events: their payloads are brought up to date and checked against their schema first.

use std::sync::Arc;

use events_schema::{Reader, TypedEvent};
use futures_util::future::{Either, ready};

use super::builder::Worker;
use super::context::Context;
use super::failure::Failure;

impl Worker {
    /// Handles the events of a type, which `reader` takes from older versions to the present one and checks.
    ///
    /// An event it refuses, because there is no way from its version or because its payload violates the schema, is
    /// dead-lettered at once, and the reason says what is wrong with it and where.
    ///
    /// [`Reader::description`] is what an AsyncAPI document about the service is made of.
    pub fn on_typed<T, F, Fut, E>(self, reader: Reader<T>, handler: F) -> Self
    where
        T: TypedEvent,
        F: Fn(Context, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Failure> + Send + 'static,
    {
        let reader = Arc::new(reader);
        self.on(T::TYPE, move |context: Context| match reader.read(context.event()) {
            Ok(payload) => {
                let handled = handler(context, payload);
                Either::Left(async move { handled.await.map_err(Into::into) })
            }
            Err(refused) => Either::Right(ready(Err(Failure::permanent(refused)))),
        })
    }
}
