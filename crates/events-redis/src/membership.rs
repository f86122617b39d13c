//! `Membership`: as whom a consumer takes part in its group.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use events_core::wire::Encoding;
use events_core::{ConsumerOptions, Observer};

/// As whom a consumer takes part in its group, and by which rules.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) group: String,
    pub(crate) consumer: String,
    pub(crate) lease: Duration,
    pub(crate) max_deliveries: NonZeroU32,
    /// The only one expected, if one is.
    pub(crate) encoding: Option<Encoding>,
    /// Who is told what becomes a dead letter.
    pub(crate) observer: Arc<dyn Observer>,
}

impl Membership {
    pub(crate) fn new(options: &ConsumerOptions) -> Self {
        Self {
            group: options.group().to_owned(),
            consumer: options.consumer_name().to_owned(),
            lease: options.lease(),
            max_deliveries: options.max_deliveries(),
            encoding: options.encoding(),
            observer: Arc::clone(options.observer()),
        }
    }

    /// The lease as the server counts it.
    pub(crate) fn lease_ms(&self) -> u64 {
        milliseconds(self.lease)
    }
}

/// A duration as the server counts it: whole milliseconds, none for what is shorter.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
