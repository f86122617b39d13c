//! What a backend has to offer to be made from a configuration.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use events_core::{
    ConsumerOptions, Error, EventAdmin, EventConsumer, EventPublisher, Observer, Result, SeenStore,
    async_trait,
};

use crate::{BrokerUrl, EventsConfig};

/// A kind of broker the factory can connect to: the built-in ones, and those a program adds with
/// [`Registry::with_backend`](crate::Registry::with_backend).
///
/// Settings the configuration has no section for are handed to the backend when it is made.
#[async_trait]
pub trait Backend: Debug + Send + Sync + 'static {
    /// The name in messages, such as `redis`.
    fn name(&self) -> &str;

    /// The URL schemes the backend answers to, in lower case and without the colon.
    fn schemes(&self) -> &[&str];

    /// Makes a publisher.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) for a URL or setting the backend cannot use, or the error of
    /// connecting.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    async fn publisher(&self, target: &Target<'_>) -> Result<Arc<dyn EventPublisher>>;

    /// Makes a consumer.
    ///
    /// # Errors
    ///
    /// As [`publisher`](Self::publisher).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind but perhaps the group.
    async fn consumer(&self, target: &Target<'_>, options: ConsumerOptions)
    -> Result<Box<dyn EventConsumer>>;

    /// Makes an admin.
    ///
    /// # Errors
    ///
    /// As [`publisher`](Self::publisher).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    async fn admin(&self, target: &Target<'_>) -> Result<Arc<dyn EventAdmin>>;

    /// Makes a store of the events a group has handled, each kept for `keep`. By default there is none.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](events_core::ErrorKind::Unsupported) where the backend has none, otherwise as
    /// [`publisher`](Self::publisher).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    async fn seen_store(&self, _: &Target<'_>, _group: &str, _keep: Duration) -> Result<Arc<dyn SeenStore>> {
        Err(Error::unsupported("seen store"))
    }

    /// Makes what the broker must have before anybody can publish or consume, or only looks at what that would be; returns
    /// the steps, each as an imperative such as `create the queue jobs`, and none when everything is there.
    ///
    /// Default: no steps, as for a broker that makes streams and groups when they are first used.
    ///
    /// # Errors
    ///
    /// As [`publisher`](Self::publisher).
    ///
    /// # Cancel safety
    ///
    /// What was made stays. Ensuring again goes on from there.
    async fn ensure(&self, _target: &Target<'_>, _how: Ensure) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// Whether [`Backend::ensure`] changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ensure {
    /// Looks, and says what is missing.
    Plan,
    /// Makes what is missing.
    Apply,
}

/// What to connect to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Target<'c> {
    /// The URL that chose the backend.
    pub url: BrokerUrl,
    /// The stream key.
    pub stream_key: &'c str,
    /// The whole configuration, for the backend's own section.
    pub config: &'c EventsConfig,
    /// Who is told what the backend of a publisher does by itself; a consumer's options name their own.
    pub observer: Arc<dyn Observer>,
}
