//! What can be set about a database file.

use std::path::PathBuf;
use std::time::Duration;

use events_core::{Capabilities, DEFAULT_MAX_EVENT_BYTES, Error, ErrorKind, Result, Retention, duration};
use serde::{Deserialize, Deserializer};

/// SQLite refuses a row of more than a billion bytes; this leaves room for headers and the row's own frame.
const MOST_EVENT_BYTES: usize = 500 * 1024 * 1024;

/// Where the file is and how it is kept.
///
/// Publishers, consumers and admins of one process that are opened with equal settings share one connection for writing.
/// Every process that uses a file should be given the same settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SqliteConfig {
    /// The database file; it is created when missing, its directory is not. No default, but a configuration section may leave
    /// it out where something else names it, such as a URL.
    #[serde(default)]
    pub path: PathBuf,
    /// What a returned publish survives. Default: [`Synchronous::Full`].
    #[serde(default)]
    pub synchronous: Synchronous,
    /// How long a write waits for other processes to finish theirs before it fails with a timeout. Default: `5s`.
    #[serde(default = "defaults::busy_timeout", deserialize_with = "duration::deserialize")]
    pub busy_timeout: Duration,
    /// How often a waiting consumer looks whether another process has written. On Linux a file notification comes
    /// sooner as a rule, and this bounds the wait when it does not come. Default: `25ms`; at least `1ms`.
    #[serde(default = "defaults::poll_interval", deserialize_with = "duration::deserialize")]
    pub poll_interval: Duration,
    /// The largest event in bytes: its JSON, and names and values of its headers. Default: 1048576, at most 524288000.
    #[serde(default = "defaults::max_event_bytes")]
    pub max_event_bytes: usize,
    /// What is kept of the history of each stream. Default: the last seven days, also where only other limits are named;
    /// `max_age = "none"` lifts it.
    #[serde(default = "defaults::retention", deserialize_with = "retention")]
    pub retention: Retention,
}

impl SqliteConfig {
    /// The file at `path`, with every other setting at its default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            synchronous: Synchronous::default(),
            busy_timeout: defaults::busy_timeout(),
            poll_interval: defaults::poll_interval(),
            max_event_bytes: defaults::max_event_bytes(),
            retention: defaults::retention(),
        }
    }

    /// The same settings for another file.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = path.into();
        self
    }

    /// Checks what SQLite would not refuse by itself.
    pub(crate) fn validate(&self) -> Result<()> {
        let invalid =
            |message: &'static str| Err(Error::new(ErrorKind::InvalidConfig, "sqlite settings", message));
        if self.path.as_os_str().is_empty() {
            return invalid("`path` must not be empty");
        }
        if self.poll_interval < Duration::from_millis(1) {
            return invalid("`poll_interval` must be at least 1ms");
        }
        if self.max_event_bytes > MOST_EVENT_BYTES {
            return invalid("`max_event_bytes` must be at most 524288000");
        }
        self.retention.validate()
    }

    /// What the backend offers with these settings.
    pub(crate) fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.durable = true;
        capabilities.ordered = true;
        capabilities.groups = true;
        capabilities.replay = true;
        capabilities.delayed_nack = true;
        capabilities.extend = true;
        capabilities.uncounted_release = true;
        capabilities.dead_letters = true;
        capabilities.trim = true;
        capabilities.keeps_errors = true;
        capabilities.max_event_bytes = self.max_event_bytes;
        capabilities
    }
}

impl Default for SqliteConfig {
    /// Every setting at its default and no path, which is refused when it is used.
    fn default() -> Self {
        Self::new(PathBuf::new())
    }
}

/// When SQLite waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Synchronous {
    /// At every commit: what was accepted survives a loss of power.
    #[default]
    Full,
    /// At checkpoints only: what was accepted survives the death of the process, but a loss of power may undo the last commits.
    Normal,
}

/// Reads what is kept, where an age that is not named is not unlimited but the default.
fn retention<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Retention, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limits {
        #[serde(default = "defaults::max_age", deserialize_with = "duration::deserialize_or_none")]
        max_age: Option<Duration>,
        max_events: Option<u64>,
        hard_max_events: Option<u64>,
    }
    let limits = Limits::deserialize(deserializer)?;
    let mut retention = Retention::default();
    (retention.max_age, retention.max_events) = (limits.max_age, limits.max_events);
    retention.hard_max_events = limits.hard_max_events;
    Ok(retention)
}

/// Default values that `serde` wants as functions.
mod defaults {
    use super::{DEFAULT_MAX_EVENT_BYTES, Duration, Retention};

    pub(super) const fn busy_timeout() -> Duration {
        Duration::from_secs(5)
    }

    pub(super) const fn poll_interval() -> Duration {
        Duration::from_millis(25)
    }

    pub(super) const fn max_event_bytes() -> usize {
        DEFAULT_MAX_EVENT_BYTES
    }

    pub(super) const fn max_age() -> Option<Duration> {
        Some(Duration::from_secs(7 * 24 * 60 * 60))
    }

    pub(super) fn retention() -> Retention {
        let mut retention = Retention::default();
        retention.max_age = max_age();
        retention
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_setting_and_fills_in_the_rest() {
        let config: SqliteConfig = toml::from_str(
            "path = 'e.db'\nsynchronous = 'normal'\nbusy_timeout = '500ms'\npoll_interval = '5ms'\n\
             max_event_bytes = 100\n[retention]\nmax_age = '5m'\nmax_events = 7",
        )
        .unwrap();
        assert_eq!(config.synchronous, Synchronous::Normal);
        assert_eq!(config.busy_timeout, Duration::from_millis(500));
        assert_eq!(config.poll_interval, Duration::from_millis(5));
        assert_eq!(config.max_event_bytes, 100);
        assert_eq!(
            config.retention,
            Retention::default().with_max_age(Duration::from_secs(300)).with_max_events(7)
        );
        let short: SqliteConfig = toml::from_str("path = 'e.db'").unwrap();
        assert_eq!(short, SqliteConfig::new("e.db"));
        let kept: SqliteConfig = toml::from_str("path = 'e.db'\nretention.max_age = 'none'").unwrap();
        assert_eq!(kept.retention.max_age, None);
        let days: SqliteConfig = toml::from_str("path = 'e.db'\nretention.hard_max_events = 9").unwrap();
        assert_eq!(days.retention, defaults::retention().with_hard_max_events(9));
    }

    #[test]
    fn refuses_unknown_keys_and_missing_units() {
        for text in ["path = 'e.db'\npth = 1", "path = 'e.db'\nbusy_timeout = '5'"] {
            assert!(toml::from_str::<SqliteConfig>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_values_sqlite_could_not_keep() {
        let kind = |change: fn(&mut SqliteConfig)| {
            let mut config = SqliteConfig::new("e.db");
            change(&mut config);
            config.validate().map_err(|error| error.kind())
        };
        assert_eq!(kind(|_| ()), Ok(()));
        assert_eq!(kind(|config| config.path = PathBuf::new()), Err(ErrorKind::InvalidConfig));
        assert_eq!(kind(|config| config.poll_interval = Duration::ZERO), Err(ErrorKind::InvalidConfig));
        assert_eq!(kind(|config| config.max_event_bytes = usize::MAX), Err(ErrorKind::InvalidConfig));
        let contradiction: fn(&mut SqliteConfig) =
            |config| config.retention = Retention::default().with_max_events(2).with_hard_max_events(1);
        assert_eq!(kind(contradiction), Err(ErrorKind::InvalidConfig));
    }
}
