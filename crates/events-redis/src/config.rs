//! `RedisConfig`: where the server is and how patient to be with it.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use events_core::{DEFAULT_MAX_EVENT_BYTES, Error, ErrorKind, Result, Retention, Secret};
use serde::Deserialize;

use crate::address::Address;

/// Where the server is and how patient to be with it.
///
/// Printing one shows no credential, not even one inside the URL.
/// Durations are written `500ms`, `3s` or `5m`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisConfig {
    /// The server's URL; not a key of the file, since the URL is what chose this backend.
    #[serde(skip)]
    url: Secret,
    /// The ACL user. Default: the URL's, else the default user.
    pub username: Option<String>,
    /// The password. Default: the URL's, else none.
    pub password: Option<Secret>,
    /// A file whose content is the password. Default: none; not together with `password`.
    pub password_file: Option<PathBuf>,
    /// A PEM file with the certificates of the authorities that may vouch for the server, instead of those the system
    /// trusts. Default: none; only for a URL that asks for TLS, as the next two.
    pub tls_ca_file: Option<PathBuf>,
    /// A PEM file with the certificate, and the chain above it, to show to a server that asks for one. Default: none;
    /// together with `tls_key_file`.
    pub tls_cert_file: Option<PathBuf>,
    /// A PEM file with the key of that certificate. Default: none.
    pub tls_key_file: Option<PathBuf>,
    /// How long connecting waits for the server before it goes on in the background. Default: 3 s.
    #[serde(deserialize_with = "events_core::duration::deserialize")]
    pub connect_timeout: Duration,
    /// How long one command may take, waiting for a lost connection included: the publish timeout. Default: 10 s.
    #[serde(deserialize_with = "events_core::duration::deserialize")]
    pub command_timeout: Duration,
    /// How long one blocking read waits at the server. It bounds how late a stop is noticed where `CLIENT UNBLOCK` is
    /// not permitted. Default: 2 s.
    #[serde(deserialize_with = "events_core::duration::deserialize")]
    pub read_block: Duration,
    /// How overdue the answer to a read may be before its connection counts as dead and is replaced. Redis may exceed
    /// the time a read asked for when it is woken for nothing, so this must be generous. A `receive` waits for so long
    /// beyond its time before it says that the server does not answer. Default: 5 s.
    #[serde(deserialize_with = "events_core::duration::deserialize")]
    pub read_overdue: Duration,
    /// The largest event accepted, in bytes. Default: 1 MiB.
    pub max_event_bytes: NonZeroUsize,
    /// How many bytes of events may be on their way, so that memory does not grow while the server is away. A publish
    /// that finds no room within `command_timeout` fails with [`Full`](ErrorKind::Full); every event counts as a KiB at
    /// least. Default: 64 MiB.
    pub max_queued_bytes: NonZeroU64,
    /// What is kept of the stream's history; consumers and publishers trim the rest, in steps, every `upkeep_interval`.
    /// Default: everything.
    pub retention: Retention,
    /// After how long without a sign of life the name of a consumer that owns no pending entry is removed from its
    /// group, at least three leases. Default: 10 min, which is longer than a service takes to be replaced by its next
    /// version; `none` lets names pile up.
    #[serde(deserialize_with = "events_core::duration::deserialize_or_none")]
    pub reap_after: Option<Duration>,
    /// How often each consumer looks for names to remove, and trims where there is something to trim, give or take
    /// half of it so that not all do it at once. Publishers trim as often. Default: 30 s.
    #[serde(deserialize_with = "events_core::duration::deserialize")]
    pub upkeep_interval: Duration,
    /// A name for this publisher, under which the server remembers the ids of the events it published (`XADD … IDMP`,
    /// from Redis 8.6.2): an event that is published again, because the answer was lost, is not added again. It should
    /// differ between publishers and stay the same when one is started again. Where the server does not offer it events
    /// are published as without, after a warning. Default: none, and then nothing is remembered.
    pub producer_id: Option<String>,
    /// How many replicas must have an event before it counts as accepted (`WAIT`). Default: 0.
    pub wait_replicas: u32,
    /// Whether an event must be on the disk of the server, and of as many replicas as `wait_replicas` says, before it
    /// counts as accepted (`WAITAOF`, from Redis 7.2, with `appendonly yes`). Default: false.
    pub wait_aof: bool,
    /// How long the server waits for replicas and disks. When too few have confirmed an event by then, publishing it
    /// fails with [`Timeout`](ErrorKind::Timeout), and the event may be there. Must be shorter than `command_timeout`.
    /// Default: 1 s.
    #[serde(deserialize_with = "events_core::duration::deserialize")]
    pub wait_timeout: Duration,
    /// Whether an acknowledgement deletes the event when no other group still needs it (`XACKDEL … ACKED`, from Redis
    /// 8.2.3). A stream then holds what is still to be handled, and cannot be replayed. A consumer is refused with
    /// [`Unsupported`](ErrorKind::Unsupported) by a server that does not offer it. Default: false.
    pub delete_acknowledged: bool,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self::new("redis://127.0.0.1:6379")
    }
}

impl RedisConfig {
    /// The defaults, for the server at `url`. The URL is checked when it is used.
    ///
    /// `redis://[[user]:password@]host[:port][/database]`; `rediss://` for TLS.
    /// `redis-cluster://host:port?node=host:port` and
    /// `redis-sentinel://host:port?sentinelServiceName=name&node=host:port`, with `rediss-…` for TLS.
    /// `valkey…` means the same as `redis…`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Secret::new(url),
            username: None,
            password: None,
            password_file: None,
            tls_ca_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            connect_timeout: Duration::from_secs(3),
            command_timeout: Duration::from_secs(10),
            read_block: Duration::from_secs(2),
            read_overdue: Duration::from_secs(5),
            max_event_bytes: const { NonZeroUsize::new(DEFAULT_MAX_EVENT_BYTES).expect("the limit is not zero") },
            max_queued_bytes: const { NonZeroU64::new(64 * 1024 * 1024).expect("not zero") },
            retention: Retention::default(),
            reap_after: Some(Duration::from_secs(10 * 60)),
            upkeep_interval: Duration::from_secs(30),
            producer_id: None,
            wait_replicas: 0,
            wait_aof: false,
            wait_timeout: Duration::from_secs(1),
            delete_acknowledged: false,
        }
    }

    /// Names another server, and keeps every other setting.
    #[must_use]
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = Secret::new(url);
        self
    }

    /// Authenticates as this ACL user.
    #[must_use]
    pub fn with_username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Authenticates with this password.
    #[must_use]
    pub fn with_password(mut self, password: Secret) -> Self {
        self.password = Some(password);
        self
    }

    /// Authenticates with the password in this file.
    #[must_use]
    pub fn with_password_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.password_file = Some(path.into());
        self
    }

    /// Trusts the authorities in this PEM file instead of the system's.
    #[must_use]
    pub fn with_tls_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls_ca_file = Some(path.into());
        self
    }

    /// Shows the certificate in this PEM file, whose key is in the other, to a server that asks for one.
    #[must_use]
    pub fn with_tls_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        (self.tls_cert_file, self.tls_key_file) = (Some(certificate.into()), Some(key.into()));
        self
    }

    /// Sets how long connecting waits before it goes on in the background.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long one command may take.
    #[must_use]
    pub fn with_command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout;
        self
    }

    /// Sets how long one blocking read waits, and how overdue its answer may be.
    #[must_use]
    pub fn with_read_patience(mut self, block: Duration, overdue: Duration) -> Self {
        (self.read_block, self.read_overdue) = (block, overdue);
        self
    }

    /// Sets the largest event accepted, in bytes.
    #[must_use]
    pub fn with_max_event_bytes(mut self, bytes: NonZeroUsize) -> Self {
        self.max_event_bytes = bytes;
        self
    }

    /// Sets how many bytes of events may be on their way.
    #[must_use]
    pub fn with_max_queued_bytes(mut self, bytes: NonZeroU64) -> Self {
        self.max_queued_bytes = bytes;
        self
    }

    /// Lets consumers and publishers trim the stream.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Sets after how long the name of a consumer that is gone is removed; `None` is never.
    #[must_use]
    pub fn with_reap_after(mut self, idle: Option<Duration>) -> Self {
        self.reap_after = idle;
        self
    }

    /// Sets how often consumers and publishers do what has to be done now and then.
    #[must_use]
    pub fn with_upkeep_interval(mut self, interval: Duration) -> Self {
        self.upkeep_interval = interval;
        self
    }

    /// Has the server remember the ids of events published under this name.
    #[must_use]
    pub fn with_producer_id(mut self, producer: impl Into<String>) -> Self {
        self.producer_id = Some(producer.into());
        self
    }

    /// Waits for so many replicas, and for disks if `aof`, at most `timeout` for each command.
    #[must_use]
    pub fn with_confirmation(mut self, replicas: u32, aof: bool, timeout: Duration) -> Self {
        (self.wait_replicas, self.wait_aof, self.wait_timeout) = (replicas, aof, timeout);
        self
    }

    /// Deletes what every group has acknowledged.
    #[must_use]
    pub fn with_delete_acknowledged(mut self, delete: bool) -> Self {
        self.delete_acknowledged = delete;
        self
    }

    /// Checks what a publisher takes from here besides the address.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for an empty producer id and a time to wait that cannot work.
    pub(crate) fn validate_publishing(&self) -> Result<()> {
        let invalid =
            |message: &'static str| Error::new(ErrorKind::InvalidConfig, "redis configuration", message);
        if self.producer_id.as_ref().is_some_and(String::is_empty) {
            return Err(invalid("`producer_id` must not be empty"));
        }
        let waits = self.wait_replicas > 0 || self.wait_aof;
        // The server counts in milliseconds, and takes zero for ever.
        if waits
            && (self.wait_timeout < Duration::from_millis(1) || self.wait_timeout >= self.command_timeout)
        {
            return Err(invalid("`wait_timeout` must be at least 1ms and shorter than `command_timeout`"));
        }
        Ok(())
    }

    /// The server's address with its credentials, those of the URL giving way to those of the fields.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for an unusable URL, timeout or password file.
    pub(crate) fn address(&self) -> Result<Address> {
        let invalid =
            |message: &'static str| Error::new(ErrorKind::InvalidConfig, "redis configuration", message);
        let shortest = Duration::from_millis(1);
        let times = [self.connect_timeout, self.command_timeout, self.read_block, self.upkeep_interval];
        if times.iter().any(|time| *time < shortest) {
            return Err(invalid("a timeout or interval must be at least 1ms"));
        }
        self.retention.validate()?;
        let mut address: Address = self.url.expose().parse()?;
        let files = [&self.tls_ca_file, &self.tls_cert_file, &self.tls_key_file];
        if !address.tls && files.iter().any(|file| file.is_some()) {
            return Err(invalid("there are files for TLS, and the URL does not ask for it"));
        }
        if let Some(username) = &self.username {
            address.username = Some(username.clone());
        }
        let password = match (&self.password, &self.password_file) {
            (Some(_), Some(_)) => return Err(invalid("`password` and `password_file` are both given")),
            (Some(password), None) => Some(password.clone()),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| invalid("the password file cannot be read").with_source(error))?;
                Some(Secret::new(text.trim_end_matches(['\r', '\n'])))
            }
            (None, None) => None,
        };
        if password.is_some() {
            address.password = password;
        }
        if address.username.is_some() && address.password.is_none() {
            return Err(invalid("there is a user but no password"));
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_configuration_shows_no_credential() {
        let config = RedisConfig::new("redis://user:hunter2@localhost").with_password(Secret::new("hunter3"));
        let printed = format!("{config:?}");
        assert!(!printed.contains("hunter"), "{printed}");
        let address = config.address().unwrap();
        assert!(!format!("{address:?}").contains("hunter"));
    }

    #[test]
    fn a_file_sets_what_it_names_and_no_more() {
        let text =
            "command_timeout = '250ms'\npassword = 'p'\nreap_after = 'none'\nretention.max_age = '7days'";
        let config: RedisConfig = toml::from_str(text).unwrap();
        assert_eq!(
            (config.reap_after, config.retention.max_age.map(|age| age.as_secs())),
            (None, Some(604_800))
        );
        assert_eq!(config.command_timeout, Duration::from_millis(250));
        assert_eq!(config.connect_timeout, Duration::from_secs(3));
        assert_eq!(config.password, Some(Secret::new("p")));
        for wrong in ["url = \"redis://h\"", "command_timeout = \"5\"", "nonsense = 1"] {
            assert!(toml::from_str::<RedisConfig>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn waiting_that_cannot_work_is_refused() {
        let kind = |config: RedisConfig| config.validate_publishing().map_err(|error| error.kind());
        let second = Duration::from_secs(1);
        let config = || RedisConfig::default().with_command_timeout(second);
        assert_eq!(kind(config()), Ok(()));
        assert_eq!(kind(config().with_confirmation(1, false, second / 2)), Ok(()));
        assert_eq!(kind(config().with_confirmation(1, false, second)), Err(ErrorKind::InvalidConfig));
        assert_eq!(kind(config().with_confirmation(0, true, Duration::ZERO)), Err(ErrorKind::InvalidConfig));
        assert_eq!(kind(config().with_producer_id("")), Err(ErrorKind::InvalidConfig));
    }

    #[test]
    fn fields_override_the_url() {
        let config = RedisConfig::new("redis://a:b@h").with_username("c").with_password(Secret::new("d"));
        let address = config.address().unwrap();
        assert_eq!(address.username.as_deref(), Some("c"));
        assert_eq!(address.password, Some(Secret::new("d")));
    }

    #[test]
    fn credentials_that_cannot_work_are_refused() {
        let kind = |config: RedisConfig| config.address().map(drop).map_err(|error| error.kind());
        let config = RedisConfig::default;
        assert_eq!(kind(config()), Ok(()));
        assert_eq!(kind(config().with_username("u")), Err(ErrorKind::InvalidConfig));
        assert_eq!(kind(config().with_password_file("/no/such/file")), Err(ErrorKind::InvalidConfig));
        assert_eq!(kind(config().with_command_timeout(Duration::ZERO)), Err(ErrorKind::InvalidConfig));
        assert_eq!(kind(config().with_upkeep_interval(Duration::ZERO)), Err(ErrorKind::InvalidConfig));
        let contradiction = Retention::default().with_max_events(2).with_hard_max_events(1);
        assert_eq!(kind(config().with_retention(contradiction)), Err(ErrorKind::InvalidConfig));
    }
}
