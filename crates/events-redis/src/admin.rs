//! `RedisAdmin`: looks at a stream from outside.

use std::num::NonZeroUsize;
use std::time::Duration;

use events_core::{
    Capabilities, ConsumerOptions, ConsumerStatus, DeadLetter, Error, ErrorKind, EventAdmin, GroupStatus,
    MessageId, PendingEvent, Record, Result, Retention, StartFrom, StreamState, TrimReport, async_trait,
    wire,
};
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::RedisConfig;
use crate::capabilities::capabilities;
use crate::client::{
    Code, CommandError, ConsumerInfo, Entry, ForeignClient, GroupInfo, Link, Pending, PendingFilter,
    ReadConnection, Role, StreamClient,
};
use crate::dead_letter;
use crate::entry_id::{EntryId, start_after};
use crate::janitor;

/// The longest one read waits at the server: a read whose caller went away keeps the next one waiting for that long.
const LONGEST_READ: Duration = Duration::from_secs(1);

/// The most events one call reads: the answer is held in memory whole, here and at the server.
const MOST_AT_ONCE: usize = 4_096;

/// How many entries are fetched at once.
const PAGE: usize = 1_000;

/// Looks at one stream from outside, and moves its dead letters.
#[derive(Debug)]
pub struct RedisAdmin {
    client: StreamClient,
    config: RedisConfig,
    stream_key: String,
    lease: Duration,
    /// For reads that wait; made when the first does.
    reads: OnceCell<ReadConnection>,
}

impl RedisAdmin {
    /// Connects to the server that `config` names.
    ///
    /// # Errors
    ///
    /// As [`RedisPublisher::connect`](crate::RedisPublisher::connect).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(config: &RedisConfig, stream_key: &str) -> Result<Self> {
        let link = Link::connect(config, Role::Commands).await?;
        Self::new(link, config, stream_key)
    }

    /// Looks through a client that exists already and stays the caller's. Reads that wait get a connection of their own.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for an empty stream key.
    pub fn with_client(client: ForeignClient, config: &RedisConfig, stream_key: &str) -> Result<Self> {
        Self::new(Link::foreign(client), config, stream_key)
    }

    fn new(link: Link, config: &RedisConfig, stream_key: &str) -> Result<Self> {
        if stream_key.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "redis admin",
                "the stream key must not be empty",
            ));
        }
        Ok(Self {
            client: StreamClient::new(link, stream_key, config.command_timeout),
            config: config.clone(),
            stream_key: stream_key.to_owned(),
            lease: ConsumerOptions::DEFAULT_LEASE,
            reads: OnceCell::new(),
        })
    }

    /// The lease the consumers of the stream were given, by which [`peek`](EventAdmin::peek) tells what is due: the
    /// server knows only how long an event has been pending. Default: 60 s.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    async fn reads(&self) -> Result<&ReadConnection> {
        let connect = async || {
            let link = self.client.link().another(&self.config, Role::Reads).await?;
            Ok(ReadConnection::new(link, &self.stream_key))
        };
        self.reads.get_or_try_init(connect).await
    }

    /// Waits for entries after `after`.
    async fn wait_for(&self, after: EntryId, max: usize, wait: Duration) -> Result<Vec<Entry>> {
        let reads = self.reads().await?;
        let until = Instant::now() + wait.min(crate::inbox::FOREVER);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let entries = reads.read_after(after, max, left.min(LONGEST_READ)).await?;
            if !entries.is_empty() || left.is_zero() {
                return Ok(entries);
            }
        }
    }

    /// The newest entry's id, or the highest the stream ever gave when it is empty now.
    async fn newest(&self) -> Result<Option<EntryId>> {
        Ok(self.client.last_generated_id().await?)
    }

    /// Pending entries of the group whose lease has ended, in the order of the stream.
    async fn expired(&self, group: &str, after: EntryId, max: usize) -> Result<Vec<Entry>, CommandError> {
        let mut expired = Vec::new();
        let mut after = after;
        while expired.len() < max {
            let filter =
                PendingFilter { idle: Some(self.lease), after: Some(after), ..PendingFilter::default() };
            let page = self.client.pending(group, filter, PAGE.min(max)).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for pending in &page {
                // One that was trimmed is nothing a consumer would be given.
                expired.extend(self.client.entry(pending.id).await?);
            }
        }
        expired.truncate(max);
        Ok(expired)
    }

    /// How far each group is, ordered by name.
    async fn group_states(&self) -> Result<Vec<GroupStatus>> {
        let mut groups = Vec::new();
        for group in self.client.groups().await? {
            match self.group_state(group).await {
                Ok(group) => groups.push(group),
                // Deleted since it was listed.
                Err(error) if error.code() == Code::GroupLost => {}
                Err(error) => return Err(error.into()),
            }
        }
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(groups)
    }

    async fn group_state(&self, group: GroupInfo) -> Result<GroupStatus, CommandError> {
        let oldest = self.client.pending(&group.name, PendingFilter::default(), 1).await?.pop();
        let idle = oldest.as_ref().and_then(Pending::idle);
        // Servers before 7.0 do not count, and later ones lose count when entries are deleted.
        let lag = match group.lag {
            None => self.client.count_after(group.last_delivered).await?,
            known => known,
        };
        let mut status = GroupStatus::new(group.name, lag, group.pending, idle);
        status.oldest_pending_published_at = oldest.and_then(|pending| pending.id.time());
        let delivered = Some(group.last_delivered).filter(|last| *last != EntryId::ZERO);
        status.last_delivered = delivered.map(EntryId::to_message_id);
        let status_of = |consumer: ConsumerInfo| {
            let mut status = ConsumerStatus::new(consumer.name, consumer.pending);
            (status.idle, status.inactive) = (consumer.idle, consumer.inactive);
            status
        };
        let consumers = self.client.consumers(&status.name).await?;
        status.consumers = consumers.into_iter().map(status_of).collect();
        Ok(status)
    }
}

fn record(entry: Entry) -> Record {
    let published_at = entry.id.time().unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let fields = || entry.fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    Record {
        message_id: entry.id.to_message_id(),
        published_at,
        encoding: wire::detect(fields()),
        event: wire::decode(fields(), published_at),
    }
}

/// The texts of ids; one that no stream can have given is no dead letter's and passed over.
fn texts(ids: &[MessageId]) -> Vec<String> {
    ids.iter().filter_map(|id| EntryId::try_from(id).ok()).map(|id| id.to_string()).collect()
}

#[async_trait]
impl EventAdmin for RedisAdmin {
    fn capabilities(&self) -> Capabilities {
        capabilities(&self.config)
    }

    async fn read(&self, from: &StartFrom, max: NonZeroUsize, wait: Duration) -> Result<Vec<Record>> {
        let after = match start_after(from)? {
            Some(after) => after,
            None => self.newest().await?.unwrap_or(EntryId::ZERO),
        };
        let max = max.get().min(MOST_AT_ONCE);
        let mut entries = self.client.entries_after(after, max).await?;
        if entries.is_empty() && !wait.is_zero() {
            entries = self.wait_for(after, max, wait).await?;
        }
        Ok(entries.into_iter().map(record).collect())
    }

    async fn last_id(&self) -> Result<Option<MessageId>> {
        Ok(self.newest().await?.map(EntryId::to_message_id))
    }

    async fn peek(
        &self,
        group: &str,
        start_from: &StartFrom,
        after: Option<&MessageId>,
        max: NonZeroUsize,
    ) -> Result<Vec<Record>> {
        let after = after.map_or(Ok(EntryId::ZERO), EntryId::try_from)?;
        let groups = self.client.groups().await?;
        let delivered = match groups.into_iter().find(|known| known.name == group) {
            Some(group) => Some(group.last_delivered),
            // A group that starts after all there is waits for nothing yet.
            None => match start_after(start_from)? {
                Some(start) => Some(start),
                None => return Ok(Vec::new()),
            },
        };
        let delivered = delivered.unwrap_or(EntryId::ZERO);
        let max = max.get().min(MOST_AT_ONCE);
        let mut entries = match self.expired(group, after, max).await {
            Ok(expired) => expired,
            Err(error) if error.code() == Code::GroupLost => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        if entries.len() < max {
            let new = self.client.entries_after(delivered.max(after), max - entries.len()).await?;
            entries.extend(new);
        }
        Ok(entries.into_iter().map(record).collect())
    }

    async fn groups(&self) -> Result<Vec<GroupStatus>> {
        self.group_states().await
    }

    async fn state(&self) -> Result<StreamState> {
        let info = self.client.info().await?;
        let mut state = StreamState::new(&*self.stream_key);
        state.length = Some(info.length);
        state.first_id = info.first.map(EntryId::to_message_id);
        let last = Some(info.last_generated).filter(|last| *last != EntryId::ZERO);
        state.last_id = last.map(EntryId::to_message_id);
        state.dead_letters = Some(self.client.dead_letter_count().await?);
        state.groups = self.group_states().await?;
        Ok(state)
    }

    async fn pending(
        &self,
        group: &str,
        after: Option<&MessageId>,
        max: NonZeroUsize,
    ) -> Result<Vec<PendingEvent>> {
        let mut after = after.map_or(Ok(EntryId::ZERO), EntryId::try_from)?;
        let mut events = Vec::new();
        while events.len() < max.get() {
            let filter = PendingFilter { after: Some(after), ..PendingFilter::default() };
            let page = match self.client.pending(group, filter, PAGE.min(max.get() - events.len())).await {
                Err(error) if error.code() == Code::GroupLost => break,
                page => page?,
            };
            let Some(last) = page.last() else { break };
            after = last.id;
            events.extend(page.into_iter().map(|pending| {
                let mut event = PendingEvent::new(pending.id.to_message_id(), pending.count);
                event.idle = pending.idle();
                event.consumer = pending.consumer;
                event
            }));
        }
        Ok(events)
    }

    async fn dead_letters(&self, after: Option<&MessageId>, max: NonZeroUsize) -> Result<Vec<DeadLetter>> {
        let mut after = after.map_or(Ok(EntryId::ZERO), EntryId::try_from)?;
        let mut letters = Vec::new();
        while letters.len() < max.get() {
            let page = self.client.dead_letters(after, PAGE.min(max.get())).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            // What others put under this key is theirs.
            letters.extend(page.into_iter().filter_map(|entry| dead_letter::read(entry).ok()));
        }
        letters.truncate(max.get());
        Ok(letters)
    }

    async fn redrive(&self, ids: &[MessageId]) -> Result<u64> {
        let ids = texts(ids);
        if ids.is_empty() { Ok(0) } else { Ok(self.client.redrive(&ids).await?) }
    }

    async fn purge(&self, ids: &[MessageId]) -> Result<u64> {
        let ids = texts(ids);
        if ids.is_empty() { Ok(0) } else { Ok(self.client.purge(ids).await?) }
    }

    async fn trim(&self, retention: &Retention) -> Result<TrimReport> {
        retention.validate()?;
        janitor::trim(&self.client, retention).await
    }

    async fn remove_stream(&self) -> Result<()> {
        Ok(self.client.remove_stream().await?)
    }

    async fn close(&self) -> Result<()> {
        if let Some(reads) = self.reads.get() {
            reads.link().quit().await;
        }
        self.client.link().quit().await;
        Ok(())
    }
}
