//! `ReadConnection`: a connection for reads that block at the server, shared with no other command.

use std::future::Future;
use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::interfaces::{ClientInterface, ClientLike, StreamsInterface};
use fred::types::ClientUnblockFlag;
use fred::types::Value;
use fred::types::config::Options;
use fred::types::streams::XID;
use tracing::debug;

use super::reply::{self, Entry};
use super::{CommandError, Link};
use crate::entry_id::EntryId;
use crate::membership::{Membership, milliseconds};

/// A connection for reads that block at the server.
///
/// A read that was sent must be awaited to its end: its answer may hold entries that the server has given to this
/// consumer, whether or not anybody still listens. [`unblock`](Self::unblock) brings the end about.
#[derive(Clone, Debug)]
pub(crate) struct ReadConnection {
    link: Link,
    key: String,
}

impl ReadConnection {
    pub(crate) fn new(link: Link, stream_key: &str) -> Self {
        Self { link, key: stream_key.to_owned() }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Reads entries never delivered to the group, waiting up to `block` for the first.
    pub(crate) fn read_group(
        &self,
        member: &Membership,
        count: usize,
        block: Option<Duration>,
    ) -> impl Future<Output = Result<Vec<Entry>, CommandError>> + Send + 'static {
        let (client, key) = (self.client(), self.key.clone());
        let (group, consumer) = (member.group.clone(), member.consumer.clone());
        async move {
            let value: Result<Value, _> = client
                .xreadgroup(
                    group,
                    consumer,
                    Some(count as u64),
                    block.map(at_least_one),
                    false,
                    key.as_str(),
                    XID::NewInGroup,
                )
                .await;
            let value = value.map_err(|error| CommandError::new("XREADGROUP", &key, error))?;
            reply::read(value).ok_or_else(|| CommandError::unreadable("XREADGROUP", &key))
        }
    }

    /// Reads entries after `after`, waiting up to `block` for the first. Nothing is marked or taken.
    pub(crate) async fn read_after(
        &self,
        after: EntryId,
        count: usize,
        block: Duration,
    ) -> Result<Vec<Entry>, CommandError> {
        let value: Result<Value, _> = self
            .client()
            .xread(Some(count as u64), Some(at_least_one(block)), self.key.as_str(), after.to_string())
            .await;
        let value = value.map_err(|error| CommandError::new("XREAD", &self.key, error))?;
        reply::read(value).ok_or_else(|| CommandError::unreadable("XREAD", &self.key))
    }

    /// Ends the read that blocks now, if one does, as if its time had run out.
    pub(crate) async fn unblock(&self) {
        if let Err(error) = self.link.client().unblock_self(Some(ClientUnblockFlag::Timeout)).await {
            // Not blocked, or not permitted: then the read ends by its own time.
            debug!(%error, "the read was not unblocked");
        }
    }

    /// Replaces a connection that answers no more. The read on it fails once there is a new one.
    pub(crate) fn reconnect(&self) {
        let client = self.link.client().clone();
        tokio::spawn(async move {
            if let Err(error) = client.force_reconnection().await {
                debug!(%error, "the connection was not replaced");
            }
        });
    }

    fn client(&self) -> WithOptions<Client> {
        // Neither replayed after a lost connection, which could take entries nobody waits for, nor queued without one.
        let once = Options { max_attempts: Some(1), fail_fast: true, ..Options::default() };
        self.link.client().with_options(&once)
    }
}

/// Zero would block for ever.
fn at_least_one(block: Duration) -> u64 {
    milliseconds(block).max(1)
}
