//! `RedisSeen`: which events a group has handled.

use std::time::Duration;

use events_core::{Error, ErrorKind, Result, SeenStore, async_trait};

use crate::RedisConfig;
use crate::client::{Link, Role, StreamClient};
use crate::keys::seen_key;

/// The ids of events one group has handled: a key for each, which the server removes when its time is over.
///
/// Asking and remembering are a command each, which share the connection with whatever else is on its way. A server that
/// evicts keys may forget some: then an event is handled twice, as without a store.
#[derive(Debug)]
pub struct RedisSeen {
    client: StreamClient,
    group: String,
    keep: Duration,
}

impl RedisSeen {
    /// Connects to the server that `config` names, for the group's events on the stream `stream_key`. An id is kept for
    /// `keep` after the event was handled.
    ///
    /// # Errors
    ///
    /// As [`RedisPublisher::connect`](crate::RedisPublisher::connect).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(
        config: &RedisConfig,
        stream_key: &str,
        group: impl Into<String> + Send,
        keep: Duration,
    ) -> Result<Self> {
        if stream_key.is_empty() {
            let message = "the stream key must not be empty";
            return Err(Error::new(ErrorKind::InvalidConfig, "redis seen store", message));
        }
        let group = group.into();
        let link = Link::connect(config, Role::Commands).await?;
        Ok(Self { client: StreamClient::new(link, stream_key, config.command_timeout), group, keep })
    }

    fn key(&self, id: &str) -> String {
        seen_key(self.client.stream_key(), &self.group, id)
    }
}

#[async_trait]
impl SeenStore for RedisSeen {
    async fn is_seen(&self, id: &str) -> Result<bool> {
        Ok(self.client.is_there(self.key(id)).await?)
    }

    async fn remember(&self, id: &str) -> Result<()> {
        Ok(self.client.keep_there(self.key(id), self.keep).await?)
    }
}
