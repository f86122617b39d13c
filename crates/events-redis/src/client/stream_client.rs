//! `StreamClient`: the commands on one stream, its groups and its dead letters.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use events_core::MessageId;
use fred::bytes_utils::Str;
use fred::clients::{Client, WithOptions};
use fred::interfaces::{ClientLike, LuaInterface, StreamsInterface};
use fred::types::config::Options;
use fred::types::streams::{MultipleIDs, XPendingArgs};
use fred::types::{CustomCommand, Value};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::connect::next_connection;
use super::features::Probe;
use super::reply::{self, Claimed, Entry, GroupInfo, Pending};
use super::{Code, CommandError, Link, scripts};
use crate::entry_id::EntryId;
use crate::keys::dead_letter_key;
use crate::membership::Membership;

type Result<T, E = CommandError> = std::result::Result<T, E>;

/// The commands on one stream, its groups and its dead letters. Clones share the connection.
#[derive(Clone)]
pub(crate) struct StreamClient {
    link: Link,
    options: Options,
    pub(super) key: Arc<str>,
    pub(super) dead_key: Arc<str>,
    /// Cleared for good once the server refuses scripts.
    scripts: Arc<AtomicBool>,
    /// What is known of the server.
    pub(super) probe: Arc<Probe>,
    /// Set once the server was asked whether it runs scripts.
    asked: Arc<OnceCell<()>>,
}

impl fmt::Debug for StreamClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamClient")
            .field("link", &self.link)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl StreamClient {
    /// `patience` is for each command, waiting for a lost connection included.
    pub(crate) fn new(link: Link, stream_key: &str, patience: Duration) -> Self {
        let options = Options { timeout: Some(patience), ..Options::default() };
        // In a cluster a script needs all its keys in one slot, and not every key can have that; see `keys`.
        let one_slot = stream_key.contains('{') || !stream_key.contains('}');
        let scripts = one_slot || !link.client().is_clustered();
        let probe = Arc::new(Probe::new(link.client()));
        Self {
            link,
            options,
            key: stream_key.into(),
            dead_key: dead_letter_key(stream_key).into(),
            scripts: Arc::new(AtomicBool::new(scripts)),
            probe,
            asked: Arc::default(),
        }
    }

    /// The same for callers that try again themselves: a command fails at once where there is no connection.
    pub(crate) fn impatient(&self) -> Self {
        let options = Options { fail_fast: true, max_attempts: Some(1), ..self.options.clone() };
        Self { options, ..self.clone() }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn stream_key(&self) -> &Arc<str> {
        &self.key
    }

    /// The client for one command, once it is connected.
    ///
    /// A command is not handed to a client without a connection: its queue would grow for as long as the server is
    /// away, since what has timed out stays in it. Neither can the client bound its queue itself: when that is full at
    /// the moment the connection is lost, the client cannot tell itself to reconnect, and never does.
    pub(super) async fn client(&self, command: &'static str) -> Result<WithOptions<Client>> {
        let client = self.link.client();
        if self.options.fail_fast || client.is_connected() {
            return Ok(client.with_options(&self.options));
        }
        if self.link.is_refused() {
            return Err(self.link.explain(CommandError::disconnected(command, &self.key)));
        }
        let patience = self.patience();
        let started = Instant::now();
        match timeout(patience, next_connection(client)).await {
            Ok(connected) => connected.map_err(self.failed(command))?,
            Err(_) => return Err(self.link.explain(CommandError::disconnected(command, &self.key))),
        }
        let left = patience.saturating_sub(started.elapsed()).max(Duration::from_millis(1));
        Ok(client.with_options(&Options { timeout: Some(left), ..self.options.clone() }))
    }

    /// How long one command may take.
    pub(super) fn patience(&self) -> Duration {
        self.options.timeout.unwrap_or_default()
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn failed(&self, command: &'static str) -> impl Fn(fred::error::Error) -> CommandError {
        move |error| self.link.explain(CommandError::new(command, &self.key, error))
    }

    pub(super) fn unreadable(&self, command: &'static str) -> CommandError {
        CommandError::unreadable(command, &self.key)
    }

    /// Whether scripts are worth trying.
    pub(crate) fn scripted(&self) -> bool {
        self.scripts.load(Ordering::Relaxed)
    }

    /// Runs a script on the stream and its dead letters; `None` when the server refuses scripts, and then nothing was
    /// done.
    pub(super) async fn script(&self, script: &'static str, arguments: Vec<Value>) -> Result<Option<Value>> {
        if !self.scripted() {
            return Ok(None);
        }
        self.script_through(&self.client("EVAL").await?, script, arguments).await
    }

    /// As [`script`](Self::script), sent as soon as this is polled.
    pub(super) async fn script_through(
        &self,
        client: &WithOptions<Client>,
        script: &'static str,
        arguments: Vec<Value>,
    ) -> Result<Option<Value>> {
        if !self.scripted() {
            return Ok(None);
        }
        let keys = if script == scripts::BURY || script == scripts::REDRIVE {
            vec![&*self.key, &*self.dead_key]
        } else {
            vec![&*self.key]
        };
        match client.eval::<Value, _, _, _>(script, keys, arguments).await.map_err(self.failed("EVAL")) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.refuses_scripts() => {
                if self.scripts.swap(false, Ordering::Relaxed) {
                    warn!(key = &*self.key, %error, "the server refuses scripts; single commands are used instead");
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Finds out whether the server runs scripts, before several are on their way at once: those that were refused
    /// would be done again out of order.
    pub(crate) async fn ask_for_scripts(&self) {
        let asked = self.asked.get_or_try_init(async || self.script("return 1", Vec::new()).await.map(drop));
        // One asks at a time, and while the server is away each of them in vain: nobody waits for all before him.
        match timeout(self.patience(), asked).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "whether scripts are run is not known yet"),
            Err(_) => debug!("whether scripts are run is not known yet"),
        }
    }

    /// Adds one entry and returns its id.
    pub(crate) async fn add(&self, fields: Vec<(Bytes, Bytes)>) -> Result<MessageId> {
        self.add_to(&self.key, fields).await
    }

    pub(super) async fn add_to(&self, key: &str, fields: Vec<(Bytes, Bytes)>) -> Result<MessageId> {
        let fields: Vec<(fred::types::Key, Value)> =
            fields.into_iter().map(|(name, value)| (name.into(), Value::Bytes(value))).collect();
        let id: Result<String, _> = self.client("XADD").await?.xadd(key, false, None, "*", fields).await;
        id.map(MessageId::from).map_err(|error| self.link.explain(CommandError::new("XADD", key, error)))
    }

    /// Creates the group after `after`, or after all there is, and the stream with it. One that exists is left alone.
    pub(crate) async fn create_group(&self, group: &str, after: Option<EntryId>) -> Result<bool> {
        let start = after.map_or_else(|| "$".to_owned(), |id| id.to_string());
        let created =
            self.client("XGROUP").await?.xgroup_create::<(), _, _, _>(self.key(), group, start, true).await;
        match created.map_err(self.failed("XGROUP")) {
            Ok(()) => Ok(true),
            Err(error) if error.code() == Code::GroupExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The groups of the stream; none when there is no stream.
    pub(crate) async fn groups(&self) -> Result<Vec<GroupInfo>> {
        match self
            .client("XINFO GROUPS")
            .await?
            .xinfo_groups::<Value, _>(self.key())
            .await
            .map_err(self.failed("XINFO GROUPS"))
        {
            Ok(value) => reply::groups(value).ok_or_else(|| self.unreadable("XINFO GROUPS")),
            Err(error) if error.code() == Code::NoKey => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The highest id the stream ever gave; `None` when there is no stream.
    pub(crate) async fn last_generated_id(&self) -> Result<Option<EntryId>> {
        let last = self.info().await?.last_generated;
        Ok(Some(last).filter(|last| *last != EntryId::ZERO))
    }

    /// Takes over one page of entries whose lease has ended.
    pub(crate) async fn claim_expired(
        &self,
        member: &Membership,
        from: EntryId,
        count: usize,
    ) -> Result<Claimed> {
        let (group, consumer) = (member.group.as_str(), member.consumer.as_str());
        let value = self
            .client("XAUTOCLAIM")
            .await?
            .xautoclaim(
                self.key(),
                group,
                consumer,
                member.lease_ms(),
                from.to_string(),
                Some(count as u64),
                false,
            )
            .await
            .map_err(self.failed("XAUTOCLAIM"))?;
        reply::claimed(value).ok_or_else(|| self.unreadable("XAUTOCLAIM"))
    }

    /// Takes over these entries, of which each must have been idle for `idle`. The server counts a delivery, or sets the
    /// count to `count`. Entries that are gone or are held by somebody are left out.
    pub(crate) async fn claim(
        &self,
        member: &Membership,
        idle: Duration,
        ids: &[EntryId],
        count: Option<u32>,
    ) -> Result<Vec<Entry>> {
        let ids: Vec<String> = ids.iter().map(EntryId::to_string).collect();
        let (group, consumer) = (member.group.as_str(), member.consumer.as_str());
        let (idle, count) = (crate::membership::milliseconds(idle), count.map(u64::from));
        let value = self
            .client("XCLAIM")
            .await?
            .xclaim(self.key(), group, consumer, idle, ids, None, None, count, false, false)
            .await
            .map_err(self.failed("XCLAIM"))?;
        reply::entries(value).map(|(entries, _)| entries).ok_or_else(|| self.unreadable("XCLAIM"))
    }

    /// Takes entries into the group that it never gave to anybody, delivered `count` times. Entries that are gone or are
    /// held by somebody are left out.
    pub(crate) async fn adopt(&self, member: &Membership, ids: &[EntryId], count: u32) -> Result<Vec<Entry>> {
        let ids: Vec<String> = ids.iter().map(EntryId::to_string).collect();
        let (group, consumer) = (member.group.as_str(), member.consumer.as_str());
        let count = Some(u64::from(count));
        let value = self
            .client("XCLAIM")
            .await?
            .xclaim(self.key(), group, consumer, member.lease_ms(), ids, None, None, count, true, false)
            .await
            .map_err(self.failed("XCLAIM"))?;
        reply::entries(value).map(|(entries, _)| entries).ok_or_else(|| self.unreadable("XCLAIM"))
    }

    /// Whether the group knows a consumer of this name.
    pub(crate) async fn has_consumer(&self, group: &str, consumer: &str) -> Result<bool> {
        let names: Vec<HashMap<String, Value>> = self
            .client("XINFO CONSUMERS")
            .await?
            .xinfo_consumers(self.key(), group)
            .await
            .map_err(self.failed("XINFO CONSUMERS"))?;
        let mut names = names.iter().filter_map(|fields| fields.get("name")?.as_str());
        Ok(names.any(|name| name == consumer))
    }

    /// Up to `count` pending entries of the group in `range`, those of one consumer or those idle for a time.
    pub(crate) async fn pending(
        &self,
        group: &str,
        filter: PendingFilter<'_>,
        count: usize,
    ) -> Result<Vec<Pending>> {
        let arguments = XPendingArgs {
            idle: filter.idle.map(crate::membership::milliseconds),
            start: Some(filter.after.map_or_else(|| "-".to_owned(), |id| format!("({id}")).into()),
            end: Some(filter.up_to.map_or_else(|| "+".to_owned(), |id| id.to_string()).into()),
            count: Some(count as u64),
            consumer: filter.consumer.map(Into::into),
        };
        let value = self
            .client("XPENDING")
            .await?
            .xpending(self.key(), group, arguments)
            .await
            .map_err(self.failed("XPENDING"))?;
        reply::pending(value).ok_or_else(|| self.unreadable("XPENDING"))
    }

    /// Acknowledges entries, whoever holds them, and deletes those that no other group still needs, in one command.
    pub(crate) async fn ack_and_delete(&self, group: &str, ids: Vec<Str>) -> Result<()> {
        let command = CustomCommand::new_static("XACKDEL", self.key(), false);
        let mut arguments: Vec<Value> = vec![self.key().into(), group.into(), "ACKED".into()];
        arguments.extend(["IDS".into(), ids.len().to_string().into()]);
        arguments.extend(ids.into_iter().map(Value::from));
        let acked = self.client("XACKDEL").await?.custom::<Value, _>(command, arguments).await;
        acked.map(drop).map_err(self.failed("XACKDEL"))
    }

    /// Acknowledges entries, whoever holds them, in one command.
    pub(crate) async fn ack(&self, group: &str, ids: impl Into<MultipleIDs> + Send) -> Result<()> {
        self.client("XACK").await?.xack(self.key(), group, ids).await.map_err(self.failed("XACK"))
    }

    /// Up to `count` entries after `after`.
    pub(crate) async fn entries_after(&self, after: EntryId, count: usize) -> Result<Vec<Entry>> {
        self.range_after(&self.key, after, count).await
    }

    /// One entry, if the stream still holds it.
    pub(crate) async fn entry(&self, id: EntryId) -> Result<Option<Entry>> {
        let id = id.to_string();
        Ok(self.range(&self.key, &id, &id, 1).await?.pop())
    }

    /// Up to `count` dead letters after `after`.
    pub(crate) async fn dead_letters(&self, after: EntryId, count: usize) -> Result<Vec<Entry>> {
        self.range_after(&self.dead_key, after, count).await
    }

    /// Deletes dead letters and returns how many there were.
    pub(crate) async fn purge(&self, ids: Vec<String>) -> Result<u64> {
        let deleted = self.client("XDEL").await?.xdel(&*self.dead_key, ids).await;
        deleted.map_err(|error| CommandError::new("XDEL", &self.dead_key, error))
    }

    async fn range_after(&self, key: &str, after: EntryId, count: usize) -> Result<Vec<Entry>> {
        if after == EntryId::LAST {
            return Ok(Vec::new());
        }
        self.range(key, &format!("({after}"), "+", count).await
    }

    pub(super) async fn range(&self, key: &str, start: &str, end: &str, count: usize) -> Result<Vec<Entry>> {
        let value =
            self.client("XRANGE").await?.xrange::<Value, _, _, _>(key, start, end, Some(count as u64)).await;
        let value = value.map_err(|error| CommandError::new("XRANGE", key, error))?;
        let entries = reply::entries(value).map(|(entries, _)| entries);
        entries.ok_or_else(|| CommandError::unreadable("XRANGE", key))
    }
}

/// Which pending entries are meant; all of the group by default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PendingFilter<'a> {
    pub(crate) consumer: Option<&'a str>,
    pub(crate) idle: Option<Duration>,
    pub(crate) after: Option<EntryId>,
    pub(crate) up_to: Option<EntryId>,
}
