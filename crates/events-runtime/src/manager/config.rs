//! What can be set about publishing.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use events_core::{Error, ErrorKind, Result, duration};
use serde::Deserialize;

/// How an [`EventManager`](crate::EventManager) queues, batches, retries and gives up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ManagerConfig {
    /// Events that wait in memory, besides one batch that is on its way. The room is set aside at the start, some
    /// 200 bytes for each. Default: 10000.
    pub queue: NonZeroUsize,
    /// The most events in one call to the broker. Default: 256.
    pub batch: NonZeroUsize,
    /// How long a first event waits for others to share its call. Default: `5ms`; `0s` sends at once.
    #[serde(deserialize_with = "duration::deserialize")]
    pub batch_delay: Duration,
    /// How long one call to the broker may take. Default: `5s`.
    #[serde(deserialize_with = "duration::deserialize")]
    pub publish_timeout: Duration,
    /// The pause after a first failure; it doubles with each further one. Default: `100ms`.
    #[serde(deserialize_with = "duration::deserialize")]
    pub retry_initial: Duration,
    /// The longest pause between attempts. Default: `5s`.
    #[serde(deserialize_with = "duration::deserialize")]
    pub retry_max: Duration,
    /// What happens when the broker stays away. Default: `drop-new`.
    pub overflow: Overflow,
    /// The limits of the spool; they count only with `overflow: spool`.
    pub spool: SpoolConfig,
    /// How long dropping the last handle of a manager waits for what is queued. Default: `1s`; `0s` does not wait.
    #[serde(deserialize_with = "duration::deserialize")]
    pub drop_timeout: Duration,
    /// Headers every event goes out with unless it has them itself. Default: none.
    pub headers: BTreeMap<String, String>,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        const QUEUE: NonZeroUsize = NonZeroUsize::new(10_000).expect("ten thousand is not zero");
        const BATCH: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");
        Self {
            queue: QUEUE,
            batch: BATCH,
            batch_delay: Duration::from_millis(5),
            publish_timeout: Duration::from_secs(5),
            retry_initial: Duration::from_millis(100),
            retry_max: Duration::from_secs(5),
            overflow: Overflow::default(),
            spool: SpoolConfig::default(),
            drop_timeout: Duration::from_secs(1),
            headers: BTreeMap::new(),
        }
    }
}

impl ManagerConfig {
    /// Checks what would make a manager useless.
    pub(crate) fn validate(&self) -> Result<()> {
        let invalid = |message| Err(Error::new(ErrorKind::InvalidConfig, "manager settings", message));
        if self.publish_timeout.is_zero() {
            return invalid("`publish_timeout` must not be zero");
        }
        if self.spool.after.is_zero() {
            return invalid("`spool.after` must not be zero");
        }
        Ok(())
    }
}

/// What happens to events when the broker stays away for longer than the queue lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Overflow {
    /// A full queue keeps what it has and drops the new event.
    #[default]
    DropNew,
    /// A full queue drops its oldest event for the new one.
    DropOldest,
    /// What the broker does not take goes to a durable spool, from which it is published in order later.
    /// When the spool has no room either, the queue fills and then drops new events.
    Spool,
}

/// The limits of the spool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SpoolConfig {
    /// How long the broker may take for a batch before the batch is spooled. Default: `1s`.
    ///
    /// A broker that answers later than this has events published twice.
    #[serde(deserialize_with = "duration::deserialize")]
    pub after: Duration,
    /// The file the spool is in, for whoever opens it by this configuration; it belongs to one manager. Default: none.
    pub path: Option<PathBuf>,
    /// How long starting waits for another manager that still uses the spool, as the process before a restart may, before it
    /// fails. Default: `30s`; `0s` does not wait.
    #[serde(deserialize_with = "duration::deserialize")]
    pub wait: Duration,
    /// The most events in the spool. Default: 1000000.
    pub max_events: NonZeroU64,
    /// The most bytes of events in the spool, as the wire counts them. Default: 1073741824, which is 1 GiB.
    pub max_bytes: NonZeroU64,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        const MILLION: NonZeroU64 = NonZeroU64::new(1_000_000).expect("a million is not zero");
        const GIB: NonZeroU64 = NonZeroU64::new(1 << 30).expect("a GiB is not zero");
        Self {
            after: Duration::from_secs(1),
            path: None,
            wait: Duration::from_secs(30),
            max_events: MILLION,
            max_bytes: GIB,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_setting_and_fills_in_the_rest() {
        let config: ManagerConfig = toml::from_str(
            "queue = 10\nbatch = 2\nbatch_delay = '1ms'\npublish_timeout = '2s'\nretry_initial = '3ms'\n\
             retry_max = '4s'\noverflow = 'drop-oldest'\ndrop_timeout = '0s'\n[spool]\nafter = '6s'\nwait = '0s'\n\
             max_events = 7\nmax_bytes = 8\n[headers]\nservice = 'api'",
        )
        .unwrap();
        assert_eq!((config.queue.get(), config.batch.get()), (10, 2));
        assert_eq!(config.overflow, Overflow::DropOldest);
        assert_eq!((config.spool.max_events.get(), config.spool.max_bytes.get()), (7, 8));
        assert!(config.spool.wait.is_zero());
        assert_eq!(config.headers["service"], "api");
        assert_eq!(toml::from_str::<ManagerConfig>("").unwrap(), ManagerConfig::default());
    }

    #[test]
    fn refuses_unknown_keys_missing_units_and_what_cannot_work() {
        for text in ["ques = 1", "batch_delay = '5'", "queue = 0", "overflow = 'lose'", "spool.size = 1"] {
            assert!(toml::from_str::<ManagerConfig>(text).is_err(), "{text}");
        }
        for text in ["publish_timeout = '0s'", "spool.after = '0s'"] {
            let error = toml::from_str::<ManagerConfig>(text).unwrap().validate().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        }
    }
}
