//! Looks at the dead letters of a queue.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use events_core::{
    Capabilities, DeadLetter, Error, ErrorKind, EventAdmin, GroupStatus, MessageId, PendingEvent, Record,
    Result, Retention, StartFrom, StreamState, TrimReport, async_trait,
};

use crate::calls::AwsClients;
use crate::capabilities;
use crate::config::AwsConfig;
use crate::graveyard::{Graveyard, Wanted};
use crate::queue::Queue;

/// Lists, redrives and purges the dead letters of a queue.
///
/// A queue cannot be looked at without taking from it: whoever lists dead letters hides them from everybody else for up
/// to a minute, and each is counted as received once more. Up to ten thousand are looked at; of a FIFO dead-letter queue,
/// which gives no more of a group before the first are settled, the first of each group.
///
/// History, and the state of consumer groups, are nothing a queue keeps.
#[derive(Debug)]
pub struct SqsAdmin {
    graveyard: Arc<Graveyard>,
    config: AwsConfig,
}

impl SqsAdmin {
    /// An admin with clients of its own; see [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn connect(config: AwsConfig) -> Result<Self> {
        let clients = AwsClients::load(&config).await?;
        Self::new(clients, &config).await
    }

    /// An admin that shares clients with others. It asks the queue for its dead-letter queue.
    ///
    /// # Errors
    ///
    /// As [`SqsConsumer::new`](crate::SqsConsumer::new).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn new(clients: AwsClients, config: &AwsConfig) -> Result<Self> {
        let queue = Queue::new(clients, config)?;
        match queue.traits().await {
            Err(error) if !error.is_transient() => Err(error.into()),
            // A service that is away now may be back when somebody asks for something.
            _ => Ok(Self { graveyard: Arc::new(Graveyard::new(queue)), config: config.clone() }),
        }
    }

    /// Does `work` to its end, whether or not anybody waits for it, so that no letter stays hidden.
    async fn in_background<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        tokio::spawn(work).await.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Backend, "dead letters", "the work was cut short").with_source(error))
        })
    }
}

#[async_trait]
impl EventAdmin for SqsAdmin {
    fn capabilities(&self) -> Capabilities {
        let queue = &self.graveyard.queue;
        capabilities::consuming(&self.config, queue.address.is_fifo(), queue.known_dead_letters().is_some())
    }

    async fn read(&self, _: &StartFrom, _: NonZeroUsize, _: Duration) -> Result<Vec<Record>> {
        Err(Error::unsupported("read history"))
    }

    async fn last_id(&self) -> Result<Option<MessageId>> {
        Err(Error::unsupported("read history"))
    }

    async fn peek(
        &self,
        _: &str,
        _: &StartFrom,
        _: Option<&MessageId>,
        _: NonZeroUsize,
    ) -> Result<Vec<Record>> {
        Err(Error::unsupported("peek"))
    }

    async fn groups(&self) -> Result<Vec<GroupStatus>> {
        Err(Error::unsupported("list groups"))
    }

    async fn state(&self) -> Result<StreamState> {
        let queue = &self.graveyard.queue;
        let traits = queue.traits().await?;
        let depth = queue.clients.queue_depth(&queue.address.url).await?;
        let mut state = StreamState::new(&*queue.address.name);
        state.approximate = true;
        state.length = Some(depth.waiting + depth.in_flight);
        state.groups =
            vec![GroupStatus::new(&*queue.address.name, Some(depth.waiting), depth.in_flight, None)];
        if let Some(address) = &traits.dead_letters {
            let dead = queue.clients.queue_depth(&address.url).await?;
            state.dead_letters = Some(dead.waiting + dead.in_flight);
        }
        Ok(state)
    }

    async fn pending(&self, _: &str, _: Option<&MessageId>, _: NonZeroUsize) -> Result<Vec<PendingEvent>> {
        Err(Error::unsupported("list pending events"))
    }

    async fn dead_letters(&self, after: Option<&MessageId>, max: NonZeroUsize) -> Result<Vec<DeadLetter>> {
        let graveyard = Arc::clone(&self.graveyard);
        let mut letters = self.in_background(async move { graveyard.list().await }).await?;
        letters.sort_by(|a, b| (a.dead_at, a.id.as_str()).cmp(&(b.dead_at, b.id.as_str())));
        let known = |after: &MessageId| letters.iter().position(|letter| letter.id == *after);
        let start = after.map_or(Some(0), |after| known(after).map(|at| at + 1)).unwrap_or(0);
        Ok(letters.into_iter().skip(start).take(max.get()).collect())
    }

    async fn redrive(&self, ids: &[MessageId]) -> Result<u64> {
        let (graveyard, ids) = (Arc::clone(&self.graveyard), wanted(ids));
        self.in_background(async move { graveyard.handle(ids, Wanted::Back).await }).await
    }

    async fn purge(&self, ids: &[MessageId]) -> Result<u64> {
        let (graveyard, ids) = (Arc::clone(&self.graveyard), wanted(ids));
        self.in_background(async move { graveyard.handle(ids, Wanted::Gone).await }).await
    }

    async fn trim(&self, _: &Retention) -> Result<TrimReport> {
        // What a queue forgets, and when, is a setting of the queue.
        Err(Error::unsupported("trim"))
    }

    async fn remove_stream(&self) -> Result<()> {
        Err(Error::unsupported("remove stream"))
    }

    async fn close(&self) -> Result<()> {
        // Connections belong to the clients and close when idle.
        Ok(())
    }
}

fn wanted(ids: &[MessageId]) -> HashSet<String> {
    ids.iter().map(ToString::to_string).collect()
}
