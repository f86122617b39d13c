//! `ReadConnection`: a connection for reads that block at the server, shared with no other command.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::interfaces::{ClientInterface, ClientLike, StreamsInterface};
use fred::types::config::Options;
use fred::types::{ClientUnblockFlag, CustomCommand, Resp3Frame, Value};
use tracing::debug;

use super::features::Claiming;
use super::reply::{self, Entry};
use super::{Code, CommandError, Link};
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
    claiming: Arc<Claiming>,
}

impl ReadConnection {
    pub(crate) fn new(link: Link, stream_key: &str) -> Self {
        let claiming = Arc::new(Claiming::new(link.client()));
        Self { link, key: stream_key.to_owned(), claiming }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Reads entries never delivered to the group, waiting up to `block` for the first, each with the number of its
    /// delivery. Where the server can do that, entries whose lease has ended come first, and end the waiting.
    pub(crate) fn read_group(
        &self,
        member: &Membership,
        count: usize,
        block: Option<Duration>,
    ) -> impl Future<Output = Result<Vec<(Entry, u32)>, CommandError>> + Send + 'static {
        let (client, key, claiming) = (self.client(), self.key.clone(), Arc::clone(&self.claiming));
        let (group, consumer, lease) = (member.group.clone(), member.consumer.clone(), member.lease_ms());
        async move {
            let read = async |claim: Option<u64>| {
                let command = CustomCommand::new_static("XREADGROUP", key.as_str(), block.is_some());
                let mut arguments = vec!["GROUP".to_owned(), group.clone(), consumer.clone()];
                arguments.extend(["COUNT".to_owned(), count.to_string()]);
                let block = block.map(at_least_one).map(|block| ["BLOCK".to_owned(), block.to_string()]);
                arguments.extend(block.into_iter().flatten());
                let claim = claim.map(|lease| ["CLAIM".to_owned(), lease.to_string()]);
                arguments.extend(claim.into_iter().flatten());
                arguments.extend(["STREAMS".to_owned(), key.clone(), ">".to_owned()]);
                let frame = client.custom_raw(command, arguments).await.and_then(unless_error);
                frame.map_err(|error| CommandError::new("XREADGROUP", &key, error))
            };
            let connection = claiming.connection();
            let frame = if claiming.is_worth_trying(connection) {
                match read(Some(lease)).await {
                    // Refused before anything was done.
                    Err(error) if error.code() == Code::UnknownOption => {
                        claiming.learn(connection, false);
                        read(None).await?
                    }
                    frame => {
                        let frame = frame?;
                        claiming.learn(connection, true);
                        frame
                    }
                }
            } else {
                read(None).await?
            };
            reply::deliveries(frame).ok_or_else(|| CommandError::unreadable("XREADGROUP", &key))
        }
    }

    /// Whether reads on this connection are known to take entries along whose lease has ended.
    pub(crate) fn claims(&self) -> bool {
        self.claiming.is_known(self.claiming.connection())
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

    /// Ends the read that blocks now, if one does, as if its time had run out. Says whether that is worth trying again
    /// should the read go on: one that was just sent may not block yet, and this is the same as for one that has ended.
    pub(crate) async fn unblock(&self) -> bool {
        let unblocked = self.link.client().unblock_self(Some(ClientUnblockFlag::Timeout)).await;
        let Err(error) = unblocked else { return true };
        let error = CommandError::new("CLIENT UNBLOCK", &self.key, error);
        debug!(%error, "the read was not unblocked");
        // Where it is not permitted the read ends by its own time.
        !matches!(error.code(), Code::NoPermission | Code::UnknownCommand)
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

/// An answer that is no error; a raw one may be either.
fn unless_error(frame: Resp3Frame) -> Result<Resp3Frame, fred::error::Error> {
    match frame {
        error @ (Resp3Frame::SimpleError { .. } | Resp3Frame::BlobError { .. }) => {
            Value::try_from(error).map(|_| Resp3Frame::Null)
        }
        frame => Ok(frame),
    }
}

/// Zero would block for ever.
fn at_least_one(block: Duration) -> u64 {
    milliseconds(block).max(1)
}
