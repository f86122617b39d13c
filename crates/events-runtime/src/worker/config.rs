//! What can be set about a worker.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use events_core::{ConsumerOptions, Error, ErrorKind, Result, duration};
use serde::Deserialize;

use super::retry::RetryPolicy;

/// The longest duration of any setting, so that adding it to the present moment cannot fail.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How a [`Worker`](crate::Worker) takes, handles and settles events.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// The most handlers at work at the same time. Default: 16.
    pub concurrency: NonZeroUsize,
    /// The most events held besides those being handled: waiting for a handler, or for their acknowledgement to reach the
    /// broker. Default: as many as `concurrency`.
    pub prefetch: Option<usize>,
    /// With order per key: the most events that wait behind an earlier one of their key. They count neither as being
    /// handled nor as prefetched, so that a slow key does not keep the others out. Default: 1000.
    pub max_waiting_for_key: usize,
    /// The lease the consumer was opened with. Leases are extended when a third of it has passed. Default: `60s`.
    #[serde(deserialize_with = "duration::deserialize")]
    pub lease: Duration,
    /// How long one attempt may take; one that takes longer is dropped and has failed. `none` lets it take for ever.
    /// Default: `5m`.
    #[serde(deserialize_with = "duration::deserialize_or_none")]
    pub timeout: Option<Duration>,
    /// When a failed event is tried again, and how often.
    pub retry: RetryPolicy,
    /// What happens to events no handler is registered for. Default: `ack`.
    pub unmatched: Unmatched,
    /// How long handlers may finish their work after the worker is told to stop. Default: `30s`.
    #[serde(deserialize_with = "duration::deserialize")]
    pub stop_timeout: Duration,
    /// From which attempt on an event that others failed to settle is handled with nothing else in hand; 0 for never.
    /// Default: 3.
    ///
    /// An event that kills its process takes an attempt from everything the process holds. Handled alone, it takes none
    /// but its own, and the others are not dead-lettered along with it.
    pub alone_from: u32,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(16).expect("sixteen is not zero");
        Self {
            concurrency: CONCURRENCY,
            prefetch: None,
            max_waiting_for_key: 1_000,
            lease: ConsumerOptions::DEFAULT_LEASE,
            timeout: Some(Duration::from_secs(5 * 60)),
            retry: RetryPolicy::default(),
            unmatched: Unmatched::default(),
            stop_timeout: Duration::from_secs(30),
            alone_from: 3,
        }
    }
}

impl WorkerConfig {
    /// The most events held at a time, those that wait for their key not counted.
    pub(crate) fn most_held(&self) -> usize {
        let concurrency = self.concurrency.get();
        concurrency.saturating_add(self.prefetch.unwrap_or(concurrency))
    }

    pub(crate) fn is_suspect(&self, attempt: u32) -> bool {
        NonZeroU32::new(self.alone_from).is_some_and(|from| attempt >= from.get())
    }

    /// Refuses what cannot work, and durations no clock can count.
    pub(crate) fn validate(&self) -> Result<()> {
        let invalid = |message| Err(Error::new(ErrorKind::InvalidConfig, "worker settings", message));
        if self.lease < Duration::from_millis(3) {
            return invalid("`lease` must be at least 3ms");
        }
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return invalid("`timeout` must not be zero");
        }
        if self.lease > LONGEST || self.stop_timeout > LONGEST || self.retry.max > LONGEST {
            return invalid("`lease`, `stop_timeout` and `retry.max` must be at most 365 days");
        }
        Ok(())
    }
}

/// What happens to events no handler is registered for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Unmatched {
    /// They are acknowledged: the group is not interested in them.
    #[default]
    Ack,
    /// They are dead-lettered: every event of the stream should have a handler.
    DeadLetter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_setting_and_fills_in_the_rest() {
        let config: WorkerConfig = toml::from_str(
            "concurrency = 3\nprefetch = 0\nmax_waiting_for_key = 4\nlease = '30s'\ntimeout = 'none'\n\
             unmatched = 'dead-letter'\nstop_timeout = '1s'\nalone_from = 0\n\
             [retry]\nattempts = 2\ninitial = '5ms'\nmax = '6s'",
        )
        .unwrap();
        assert_eq!((config.most_held(), config.timeout, config.unmatched), (3, None, Unmatched::DeadLetter));
        assert_eq!((config.retry.attempts.get(), config.retry.initial), (2, Duration::from_millis(5)));
        assert!(!config.is_suspect(u32::MAX));
        assert_eq!(toml::from_str::<WorkerConfig>("").unwrap(), WorkerConfig::default());
    }

    #[test]
    fn refuses_unknown_keys_missing_units_and_what_cannot_work() {
        for text in
            ["concurency = 1", "lease = '5'", "concurrency = 0", "unmatched = 'lose'", "retry.attempts = 0"]
        {
            assert!(toml::from_str::<WorkerConfig>(text).is_err(), "{text}");
        }
        for text in ["lease = '1ms'", "timeout = '0s'", "stop_timeout = '1000years'"] {
            let error = toml::from_str::<WorkerConfig>(text).unwrap().validate().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        }
    }
}
