//! `SharedRedis`: a Redis server for tests that do not disturb it.

use anyhow::Result;

use crate::RedisServer;

/// The server that `$EVENTS_TEST_REDIS_URL` names, or one of the test's own.
///
/// For tests that use key names of their own and neither stop, fill nor flush the server; every other test takes a
/// [`RedisServer`].
#[derive(Debug)]
pub struct SharedRedis {
    url: String,
    own: Option<RedisServer>,
}

impl SharedRedis {
    /// Takes the server from the environment or starts one.
    ///
    /// # Errors
    /// As [`RedisServer::start`], when the environment names no server.
    pub fn shared_or_own() -> Result<Self> {
        if let Some(url) = std::env::var("EVENTS_TEST_REDIS_URL").ok().filter(|url| !url.is_empty()) {
            return Ok(Self { url, own: None });
        }
        let server = RedisServer::start()?;
        Ok(Self { url: server.url().to_owned(), own: Some(server) })
    }

    /// Where the server listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the server is this value's own and ends with it.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }
}
