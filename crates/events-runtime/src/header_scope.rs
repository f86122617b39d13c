//! Headers that belong to what a task or a thread is doing, such as the id of the request it serves.

use std::sync::Arc;

use events_core::Headers;

tokio::task_local! {
    static CURRENT: Arc<Headers>;
}

/// Headers that every event published inside the scope goes out with, unless the event has them itself.
///
/// Scopes nest: an inner one adds to the outer one, and for a name both have the inner value counts.
/// A task that is spawned inside a scope begins without it; carry it over with [`HeaderScope::current`].
///
/// ```
/// use events_runtime::HeaderScope;
///
/// # async fn serve() {}
/// # async fn request() {
/// HeaderScope::new().with("x-request-id", "4f2a").run(serve()).await;
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a scope does nothing until something runs in it"]
pub struct HeaderScope {
    headers: Headers,
}

impl HeaderScope {
    /// A scope that adds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The scope the caller is in, with everything outer scopes added; empty outside of any.
    pub fn current() -> Self {
        Self { headers: current().map_or_else(Headers::new, |headers| (*headers).clone()) }
    }

    /// Adds a header.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Runs a future in the scope.
    ///
    /// # Errors
    ///
    /// None of its own; the output is the future's.
    ///
    /// # Cancel safety
    ///
    /// As that of the future.
    pub async fn run<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self.nested(), future).await
    }

    /// Runs a function in the scope, on this thread.
    pub fn run_sync<T>(self, function: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.nested(), function)
    }

    /// The headers of the scope inside the one the caller is in.
    fn nested(self) -> Arc<Headers> {
        let Some(outer) = current() else { return Arc::new(self.headers) };
        let mut headers = (*outer).clone();
        headers.extend(self.headers);
        Arc::new(headers)
    }
}

/// The headers of the scope the caller is in, if it is in one.
pub(crate) fn current() -> Option<Arc<Headers>> {
    CURRENT.try_with(Arc::clone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str) -> Option<String> {
        current()?.get(name).map(str::to_owned)
    }

    #[tokio::test]
    async fn scopes_nest_and_end() {
        let inner = HeaderScope::new().with("a", "inner");
        HeaderScope::new()
            .with("a", "outer")
            .with("b", "outer")
            .run(async {
                inner.run_sync(|| {
                    assert_eq!((seen("a"), seen("b")), (Some("inner".into()), Some("outer".into())));
                });
                assert_eq!(seen("a").as_deref(), Some("outer"));
                let carried = HeaderScope::current();
                let spawned = tokio::spawn(async { (seen("a"), carried.run(async { seen("a") }).await) });
                assert_eq!(spawned.await.unwrap(), (None, Some("outer".to_owned())));
            })
            .await;
        assert!(current().is_none());
    }
}
