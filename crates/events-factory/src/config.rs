//! The configuration: which backend, which stream, and how to consume it.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use events_core::wire::Encoding;
use events_core::{ConsumerOptions, Result, StartFrom};
use serde::{Deserialize, Deserializer};

use crate::BrokerUrl;
use crate::invalid::{invalid, invalid_at};

#[cfg(not(all(
    feature = "aws",
    feature = "memory",
    feature = "redis",
    feature = "runtime",
    feature = "sqlite"
)))]
use crate::not_compiled::NotCompiled;

/// The stream key where none is configured.
pub const DEFAULT_STREAM_KEY: &str = "qontract:events";

/// Which backend, which stream, and how to consume it.
///
/// Read one with [`ConfigLoader`](crate::ConfigLoader), as a part of a service's own configuration through serde, or make
/// one in code. Printing one shows no secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EventsConfig {
    /// Whether events are published at all. Default: true.
    ///
    /// When false, a publisher accepts events and drops them, and making a consumer or an admin is an error.
    pub enabled: bool,
    /// The URL that chooses the backend. Default: `sqlite:`, a file in the user's state directory.
    pub url: Option<BrokerUrl>,
    /// A file whose content is the URL, for a URL that holds a password. Default: none; not together with `url`.
    pub url_file: Option<PathBuf>,
    /// The stream, or the name of the queue. Default: `qontract:events`.
    pub stream_key: String,
    /// The consumer group. Default: none, and a consumer needs one.
    pub consumer_group: Option<String>,
    /// The consumer's name within its group. Default: unique for every consumer.
    pub consumer_name: Option<String>,
    /// How long a delivery stays hidden from the rest of the group. Default: 60 s, or the broker's own setting.
    #[serde(deserialize_with = "events_core::duration::deserialize_or_none")]
    pub lease: Option<Duration>,
    /// Attempts before an event is dead-lettered. Default: 5.
    pub max_deliveries: NonZeroU32,
    /// Where a new group starts: `earliest`, `latest`, an id or a time. Default: `earliest`.
    #[serde(deserialize_with = "deserialize_start_from")]
    pub start_from: StartFrom,
    /// The largest event a publisher accepts, in bytes. Default: the backend's own, 1 MiB.
    pub max_event_bytes: Option<NonZeroUsize>,
    /// How events are written. Default: `adr018`; see [`Encoding`] for the others.
    pub encoding: Encoding,
    /// The only encoding consumers take. Default: none, each message is read in the one it is in.
    pub expected_encoding: Option<Encoding>,
    /// Settings of the backend in memory.
    #[cfg(feature = "memory")]
    pub memory: events_memory::MemoryConfig,
    #[cfg(not(feature = "memory"))]
    memory: NotCompiled<crate::not_compiled::Memory>,
    /// Settings of the embedded backend.
    #[cfg(feature = "sqlite")]
    pub sqlite: events_sqlite::SqliteConfig,
    #[cfg(not(feature = "sqlite"))]
    sqlite: NotCompiled<crate::not_compiled::Sqlite>,
    /// Settings of Redis; what the URL says as well, the URL decides.
    #[cfg(feature = "redis")]
    pub redis: events_redis::RedisConfig,
    #[cfg(not(feature = "redis"))]
    redis: NotCompiled<crate::not_compiled::Redis>,
    /// Settings of SNS and SQS; the topic or queue the URL names comes from there.
    #[cfg(feature = "aws")]
    pub aws: events_aws::AwsConfig,
    #[cfg(not(feature = "aws"))]
    aws: NotCompiled<crate::not_compiled::Aws>,
    /// How a service publishes.
    #[cfg(feature = "runtime")]
    pub manager: events_runtime::ManagerConfig,
    #[cfg(not(feature = "runtime"))]
    manager: NotCompiled<crate::not_compiled::Runtime>,
    /// How a service handles events; of the lease only what stands outside this section counts.
    #[cfg(feature = "runtime")]
    pub worker: events_runtime::WorkerConfig,
    #[cfg(not(feature = "runtime"))]
    worker: NotCompiled<crate::not_compiled::Runtime>,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            url: None,
            url_file: None,
            stream_key: DEFAULT_STREAM_KEY.to_owned(),
            consumer_group: None,
            consumer_name: None,
            lease: None,
            max_deliveries: ConsumerOptions::DEFAULT_MAX_DELIVERIES,
            start_from: StartFrom::Earliest,
            max_event_bytes: None,
            encoding: Encoding::default(),
            expected_encoding: None,
            memory: Default::default(),
            sqlite: Default::default(),
            redis: Default::default(),
            aws: Default::default(),
            manager: Default::default(),
            worker: Default::default(),
        }
    }
}

impl EventsConfig {
    /// The defaults, on the backend this URL chooses.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: Some(BrokerUrl::new(url)), ..Self::default() }
    }

    /// Names the stream.
    #[must_use]
    pub fn with_stream_key(mut self, stream_key: impl Into<String>) -> Self {
        self.stream_key = stream_key.into();
        self
    }

    /// Names the consumer group.
    #[must_use]
    pub fn with_consumer_group(mut self, group: impl Into<String>) -> Self {
        self.consumer_group = Some(group.into());
        self
    }

    /// Sets how events are written.
    #[must_use]
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// The URL, from `url` or from the file `url_file` names; `None` for the embedded default.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) when both are given, or when the file cannot be read or is
    /// empty.
    pub fn broker_url(&self) -> Result<Option<BrokerUrl>> {
        let Some(path) = &self.url_file else { return Ok(self.url.clone()) };
        if self.url.is_some() {
            return Err(invalid("`url` and `url_file` are both given; one of them must go"));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| invalid_at(&path.display(), "`url_file` cannot be read").with_source(error))?;
        match text.trim() {
            "" => Err(invalid_at(&path.display(), "`url_file` names an empty file")),
            url => Ok(Some(BrokerUrl::new(url))),
        }
    }

    /// How a consumer with this configuration joins its group.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) when there is no consumer group, or a value is out of bounds.
    pub fn consumer_options(&self) -> Result<ConsumerOptions> {
        let group = self.consumer_group.as_deref().ok_or_else(|| {
            invalid(
                "a consumer needs a group: set `consumer_group`, or EVENTS_CONSUMER_GROUP in the environment",
            )
        })?;
        let mut options = ConsumerOptions::new(group)
            .with_start_from(self.start_from.clone())
            .with_max_deliveries(self.max_deliveries);
        if let Some(name) = &self.consumer_name {
            options = options.with_consumer_name(name);
        }
        if let Some(lease) = self.lease {
            options = options.with_lease(lease);
        }
        if let Some(encoding) = self.expected_encoding {
            options = options.with_encoding(encoding);
        }
        options.validate()?;
        Ok(options)
    }

    /// Checks what every backend needs.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.stream_key.is_empty() {
            return Err(invalid("`stream_key` must not be empty"));
        }
        Ok(())
    }
}

fn deserialize_start_from<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StartFrom, D::Error> {
    // Parsing cannot fail: what is neither a word nor a time is an id.
    String::deserialize(deserializer)
        .map(|text| text.parse().unwrap_or_else(|never: std::convert::Infallible| match never {}))
}
