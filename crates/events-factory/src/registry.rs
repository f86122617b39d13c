//! Which backends there are, and which one a configuration means.

use std::sync::Arc;

use events_core::{EventAdmin, EventConsumer, EventPublisher, Result, Unobserved};

use crate::builtin::{BUILT_IN, BuiltIn};
use crate::disabled::DisabledPublisher;
use crate::invalid::invalid;
use crate::measuring::Measuring;
use crate::suggest::did_you_mean;
use crate::{Backend, BrokerUrl, Ensure, EventsConfig, Target};

/// The URL where none is configured: the embedded backend, in the user's state directory.
const DEFAULT_URL: &str = "sqlite:";

/// The backends a program can choose from by configuration.
#[derive(Clone, Debug)]
pub struct Registry {
    backends: Vec<Arc<dyn Backend>>,
    pub(crate) measuring: Measuring,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// The backends that are compiled in.
    pub fn new() -> Self {
        let backends = BUILT_IN.iter().filter_map(|known| Some(known.backend?())).collect();
        Self { backends, measuring: Measuring::default() }
    }

    /// Adds a backend; for a scheme that several answer to, the one added last counts.
    #[must_use]
    pub fn with_backend(mut self, backend: impl Backend) -> Self {
        self.backends.push(Arc::new(backend));
        self
    }

    /// Makes a publisher.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) where the configuration is wrong, or the error of connecting.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn create_event_publisher(&self, config: &EventsConfig) -> Result<Arc<dyn EventPublisher>> {
        if !config.enabled {
            return Ok(Arc::new(DisabledPublisher::new(config)));
        }
        let (backend, mut target) = self.resolve(config)?;
        self.measuring.observe(&mut target);
        let publisher = backend.publisher(&target).await;
        self.measuring.publisher(publisher, config)
    }

    /// Makes a consumer, a member of the configured group.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) where the configuration is wrong, names no group, or has
    /// events disabled, or the error of connecting.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind but perhaps the group.
    pub async fn create_event_consumer(&self, config: &EventsConfig) -> Result<Box<dyn EventConsumer>> {
        refuse_disabled(config)?;
        let (backend, target) = self.resolve(config)?;
        let options = self.measuring.options(config)?;
        let consumer = backend.consumer(&target, options.clone()).await;
        self.measuring.consumer(consumer, config, &options)
    }

    /// Makes an admin, which looks at the stream without taking part.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) where the configuration is wrong or has events disabled, or
    /// the error of connecting.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn create_event_admin(&self, config: &EventsConfig) -> Result<Arc<dyn EventAdmin>> {
        refuse_disabled(config)?;
        let (backend, target) = self.resolve(config)?;
        backend.admin(&target).await
    }

    /// Makes what the broker must have before anybody can publish or consume; see [`Backend::ensure`]. Nothing else does so
    /// by itself.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) where the configuration is wrong or has events disabled, or
    /// what the broker answers.
    ///
    /// # Cancel safety
    ///
    /// What was made stays. Ensuring again goes on from there.
    pub async fn ensure_event_stream(&self, config: &EventsConfig, how: Ensure) -> Result<Vec<String>> {
        refuse_disabled(config)?;
        let (backend, target) = self.resolve(config)?;
        backend.ensure(&target, how).await
    }

    /// The name of the backend a configuration means, without connecting.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) where it means none.
    pub fn backend_name(&self, config: &EventsConfig) -> Result<&str> {
        Ok(self.resolve(config)?.0.name())
    }

    pub(crate) fn resolve<'c>(&self, config: &'c EventsConfig) -> Result<(&dyn Backend, Target<'c>)> {
        config.validate()?;
        let url = config.broker_url()?.unwrap_or_else(|| BrokerUrl::new(DEFAULT_URL));
        let scheme = url.scheme().ok_or_else(|| {
            invalid(format!(
                "`{url}` is no URL: it needs a scheme, as in `sqlite:{url}` (known: {})",
                self.known().join(", ")
            ))
        })?;
        let answers = |backend: &&Arc<dyn Backend>| backend.schemes().contains(&scheme.as_str());
        match self.backends.iter().rev().find(answers) {
            Some(backend) => {
                let observer = Arc::new(Unobserved);
                Ok((&**backend, Target { url, stream_key: &config.stream_key, config, observer }))
            }
            None => Err(self.no_backend(&scheme, config)),
        }
    }

    fn no_backend(&self, scheme: &str, config: &EventsConfig) -> events_core::Error {
        match BUILT_IN.iter().find(|known| known.schemes.contains(&scheme)) {
            Some(BuiltIn { name, .. }) if config.url.is_none() && config.url_file.is_none() => {
                invalid(format!(
                    "no URL is given, and the default needs the cargo feature `{name}` of events-factory (known: {})",
                    self.known().join(", ")
                ))
            }
            Some(BuiltIn { name, .. }) => invalid(format!(
                "the backend for `{scheme}:` is not compiled in; build with the cargo feature `{name}` of events-factory"
            )),
            None => {
                let known = self.known();
                let hint = did_you_mean(scheme, &known).unwrap_or_default();
                invalid(format!("unknown URL scheme `{scheme}`{hint} (known: {})", known.join(", ")))
            }
        }
    }

    /// The schemes some backend answers to, each once.
    fn known(&self) -> Vec<&str> {
        let mut known = Vec::new();
        for scheme in self.backends.iter().flat_map(|backend| backend.schemes()) {
            if !known.contains(scheme) {
                known.push(scheme);
            }
        }
        known
    }
}

pub(crate) fn refuse_disabled(config: &EventsConfig) -> Result<()> {
    if config.enabled { Ok(()) } else { Err(invalid("events are disabled (`enabled: false`)")) }
}
