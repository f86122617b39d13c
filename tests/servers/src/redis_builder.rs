//! `RedisServerBuilder`: how a Redis server is to be started.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::RedisServer;

/// Which server program is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServerGeneration {
    /// The system's own, or what `$EVENTS_TEST_REDIS_SERVER` names.
    #[default]
    Default,
    /// Redis 6.2: the oldest that is supported.
    Redis6,
    /// Redis 8.10: the newest, with everything newer servers offer.
    Redis8,
    /// Valkey 8.1.
    Valkey,
}

/// The options of a [`RedisServer`]. Without any: no persistence, no password, no TLS.
#[derive(Debug, Clone, Default)]
pub struct RedisServerBuilder {
    pub(crate) generation: ServerGeneration,
    pub(crate) arguments: Vec<String>,
    pub(crate) password: Option<String>,
    pub(crate) tls: Option<TlsFiles>,
}

#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) authority: PathBuf,
}

impl RedisServerBuilder {
    /// A server program of this generation.
    #[must_use]
    pub fn with_generation(mut self, generation: ServerGeneration) -> Self {
        self.generation = generation;
        self
    }

    /// Further command-line arguments, such as `["--maxmemory", "2mb"]`. They come after the builder's own and so win.
    #[must_use]
    pub fn with_arguments<I>(mut self, arguments: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Every write reaches the disk before it is answered, so that a server that is killed and restarted has all of it.
    #[must_use]
    pub fn with_append_only_file(self) -> Self {
        self.with_arguments(["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// Clients must authenticate with this password.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Listens on a second port that speaks TLS ([`RedisServer::tls_port`]), with this certificate and key and the
    /// authority's certificate, all PEM files. Clients need no certificate.
    #[must_use]
    pub fn with_tls(mut self, certificate: &Path, key: &Path, authority: &Path) -> Self {
        self.tls = Some(TlsFiles {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            authority: authority.to_owned(),
        });
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// When there is no server program (the error names the remedy), or it does not come up with these options.
    pub fn start(self) -> Result<RedisServer> {
        RedisServer::start_with(self)
    }
}
