//! How a consumer joins its group: what every backend understands.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::wire::Encoding;
use crate::{Error, ErrorKind, MessageId, Observer, Result, Unobserved, timestamp};

/// How a consumer joins its group.
///
/// Every consumer of a group should be given the same values.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    group: String,
    consumer_name: String,
    start_from: StartFrom,
    lease: Option<Duration>,
    max_deliveries: NonZeroU32,
    encoding: Option<Encoding>,
    observer: Arc<dyn Observer>,
}

impl ConsumerOptions {
    /// The lease where the broker has none of its own: 60 s.
    pub const DEFAULT_LEASE: Duration = Duration::from_secs(60);

    /// Attempts before an event is dead-lettered: 5.
    pub const DEFAULT_MAX_DELIVERIES: NonZeroU32 = NonZeroU32::new(5).expect("five is not zero");

    /// A member of `group`, under a name of its own that no other process or consumer has.
    pub fn new(group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            consumer_name: unique_name(),
            start_from: StartFrom::Earliest,
            lease: None,
            max_deliveries: Self::DEFAULT_MAX_DELIVERIES,
            encoding: None,
            observer: Arc::new(Unobserved),
        }
    }

    /// The consumer's name; no two live consumers of a group may share one.
    ///
    /// Default: process id and a random part, new for every consumer.
    /// A name that outlives the process lets a restarted consumer find what it held at once, where the broker keeps names.
    #[must_use]
    pub fn with_consumer_name(mut self, name: impl Into<String>) -> Self {
        self.consumer_name = name.into();
        self
    }

    /// Where the group starts if this consumer is the one that creates it. Default: [`StartFrom::Earliest`].
    #[must_use]
    pub fn with_start_from(mut self, start_from: StartFrom) -> Self {
        self.start_from = start_from;
        self
    }

    /// How long a delivery stays hidden from the rest of the group; at least a millisecond.
    ///
    /// Default: 60 s, or the broker's own setting where it has one (the visibility timeout of an SQS queue).
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// How often an event is delivered before it is dead-lettered. Default: 5.
    #[must_use]
    pub fn with_max_deliveries(mut self, max_deliveries: NonZeroU32) -> Self {
        self.max_deliveries = max_deliveries;
        self
    }

    /// Takes only messages in this encoding; any other becomes a dead letter. Default: whatever encoding a message is in.
    #[must_use]
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = Some(encoding);
        self
    }

    /// Tells `observer` what the backend does by itself: dead letters and reconnections. Default: nobody.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// The consumer group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The consumer's name.
    pub fn consumer_name(&self) -> &str {
        &self.consumer_name
    }

    /// Who is told what the backend does by itself.
    pub fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// Where a new group starts.
    pub fn start_from(&self) -> &StartFrom {
        &self.start_from
    }

    /// The lease asked for, or the default of 60 s.
    pub fn lease(&self) -> Duration {
        self.lease.unwrap_or(Self::DEFAULT_LEASE)
    }

    /// The lease asked for, if any; for backends whose broker has a setting of its own.
    pub fn requested_lease(&self) -> Option<Duration> {
        self.lease
    }

    /// Attempts before an event is dead-lettered.
    pub fn max_deliveries(&self) -> NonZeroU32 {
        self.max_deliveries
    }

    /// The only encoding that is expected, if one is.
    pub fn encoding(&self) -> Option<Encoding> {
        self.encoding
    }

    /// Checks what every backend needs; a backend calls it before anything else.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for an empty group or name and for a lease under a millisecond.
    pub fn validate(&self) -> Result<()> {
        let invalid =
            |message: &'static str| Err(Error::new(ErrorKind::InvalidConfig, "consumer options", message));
        if self.group.is_empty() {
            return invalid("the consumer group must not be empty");
        }
        if self.consumer_name.is_empty() {
            return invalid("the consumer name must not be empty");
        }
        if self.lease() < Duration::from_millis(1) {
            return invalid("the lease must be at least 1ms");
        }
        Ok(())
    }
}

/// Unique between processes and hosts, and readable enough to find the process.
fn unique_name() -> String {
    format!("{}-{}", std::process::id(), Uuid::now_v7().simple())
}

/// A position in a stream from which to read.
///
/// Parsed from `earliest`, `latest`, a time in RFC 3339, or anything else as an id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartFrom {
    /// The oldest event the stream still holds.
    #[default]
    Earliest,
    /// Only events published from now on.
    Latest,
    /// The first event after this one.
    After(MessageId),
    /// The first event that was published at this time or later.
    Time(OffsetDateTime),
}

impl FromStr for StartFrom {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "earliest" => Self::Earliest,
            "latest" => Self::Latest,
            // A number alone is an id on every backend, never a time.
            _ if text.parse::<f64>().is_ok() => Self::After(text.into()),
            _ => timestamp::parse(text).map_or_else(|| Self::After(text.into()), Self::Time),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_start_is_named_by_word_time_or_id() {
        for (text, start) in [
            ("earliest", StartFrom::Earliest),
            ("latest", StartFrom::Latest),
            ("1770724800000-0", StartFrom::After("1770724800000-0".into())),
            ("17", StartFrom::After("17".into())),
            ("2026-02-10T12:00:00Z", StartFrom::Time(datetime!(2026-02-10 12:00 UTC))),
            ("2026-02-10", StartFrom::Time(datetime!(2026-02-10 0:00 UTC))),
        ] {
            assert_eq!(text.parse(), Ok(start));
        }
    }

    #[test]
    fn options_no_backend_can_use_are_refused() {
        let kind = |options: ConsumerOptions| options.validate().map_err(|error| error.kind());
        assert_eq!(kind(ConsumerOptions::new("g")), Ok(()));
        assert_eq!(kind(ConsumerOptions::new("")), Err(ErrorKind::InvalidConfig));
        assert_eq!(kind(ConsumerOptions::new("g").with_consumer_name("")), Err(ErrorKind::InvalidConfig));
        assert_eq!(kind(ConsumerOptions::new("g").with_lease(Duration::ZERO)), Err(ErrorKind::InvalidConfig));
    }

    #[test]
    fn two_consumers_never_share_a_default_name() {
        assert_ne!(ConsumerOptions::new("g").consumer_name(), ConsumerOptions::new("g").consumer_name());
    }
}
