//! `Reader`: the task that fetches for one consumer, and keeps what it fetched until somebody takes it.
//!
//! It works on demand: while `receive` waits it looks for entries whose lease has ended and reads new ones, and besides
//! that it does only what it has promised: keeping leases. A read that was sent is awaited to its end, come what may,
//! since its answer may hold entries that nobody else will be given.

mod backoff;
mod group;
mod handover;
mod read;
mod takeover;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use events_core::{Error, Result};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use crate::RedisConfig;
use crate::agenda::Agenda;
use crate::client::{Code, CommandError, Held, ReadConnection, StreamClient};
use crate::entry_id::EntryId;
use crate::inbox::{Demand, Inbox, Want};
use crate::membership::Membership;
use backoff::Backoff;
use read::SentRead;
use takeover::{Recovery, Scan};

/// From how many events in one read on the next batch is fetched before it is asked for, if the last one came full:
/// then there is a backlog, and fetching ahead overlaps with decoding and handling. A smaller batch would only be kept from
/// others.
const READ_AHEAD_FROM: usize = 64;

/// How many times what was asked for last is fetched ahead at most: with one batch ready and one on its way, the server,
/// decoding and whoever receives do not wait for each other.
const BATCHES_AHEAD: usize = 2;

/// The longest time between two looks for expired leases while somebody waits.
const LONGEST_SCAN_INTERVAL: Duration = Duration::from_secs(1);

/// The shortest time between them, however short the lease.
const SHORTEST_SCAN_INTERVAL: Duration = Duration::from_millis(20);

/// Fetches for one consumer until its inbox is closed.
#[derive(Debug)]
pub(crate) struct Reader {
    member: Arc<Membership>,
    /// Where the group starts if this consumer is the one that creates it; `None` is after all there is.
    start_after: Option<EntryId>,
    /// For commands that are tried again by this task.
    commands: StreamClient,
    reads: ReadConnection,
    inbox: Arc<Inbox>,
    agenda: Arc<Agenda>,
    block: Duration,
    overdue: Duration,
    joined: Joined,
    /// The newest id this consumer knows the group to have been given.
    position: Option<EntryId>,
    /// The newest entry it was given, with its [`fingerprint`](handover::fingerprint).
    newest: Option<(EntryId, u64)>,
    /// What was fetched from a group that is gone and handed to nobody; the group that is there now may be beyond it.
    orphans: Vec<Held>,
    /// Own pending entries that must be looked at before anything new.
    recovery: Option<Recovery>,
    scan: Scan,
    /// When a read that found nothing was sent.
    read_to_end: Option<Instant>,
    /// Whether to fetch events before they are asked for: as many as were asked for last.
    ahead: bool,
    /// A read that was sent before anybody asked for it.
    on_its_way: Option<SentRead>,
    /// Not before then are leases looked after again, after that failed.
    upkeep_after: Instant,
}

/// Whether a step that went well has heard from the server; only that ends an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contact {
    Answered,
    None,
}

/// What is known of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joined {
    NotYet,
    Yes,
    /// It was there and is gone.
    Lost,
}

impl Reader {
    pub(crate) fn new(
        config: &RedisConfig,
        member: Arc<Membership>,
        start_after: Option<EntryId>,
        (commands, reads): (StreamClient, ReadConnection),
        inbox: Arc<Inbox>,
        agenda: Arc<Agenda>,
    ) -> Self {
        let interval = (member.lease / 4).clamp(SHORTEST_SCAN_INTERVAL, LONGEST_SCAN_INTERVAL);
        Self {
            member,
            start_after,
            commands: commands.impatient(),
            reads,
            inbox,
            agenda,
            block: config.read_block,
            overdue: config.read_overdue,
            joined: Joined::NotYet,
            position: None,
            newest: None,
            orphans: Vec::new(),
            // Under a name that outlives its process, the process before may have left something.
            recovery: Some(Recovery::of_former_process()),
            scan: Scan::new(interval),
            read_to_end: None,
            ahead: false,
            on_its_way: None,
            upkeep_after: Instant::now(),
        }
    }

    /// Fetches until the inbox is closed, and gives back then what nobody took.
    pub(crate) async fn run(mut self) -> Result<()> {
        let mut backoff = Backoff::default();
        while !self.inbox.is_closed() {
            match self.step().await {
                Ok(Contact::None) => {}
                Ok(Contact::Answered) => {
                    if backoff.reset() {
                        debug!(stream = self.commands.stream_key().as_ref(), "the server answers again");
                    }
                }
                Err(error) => self.trouble(error, &mut backoff).await,
            }
        }
        if let Some(read) = self.on_its_way.take()
            && let Err(error) = self.finish(read, None).await
        {
            debug!(%error, "what a read may have fetched comes back when leases end");
        }
        self.leave().await
    }

    async fn step(&mut self) -> Result<Contact, CommandError> {
        if self.upkeep_is_due() {
            self.upkeep().await;
        }
        if let Some(read) = self.on_its_way.take() {
            self.finish(read, None).await?;
            return Ok(Contact::Answered);
        }
        match self.inbox.want() {
            Want::Events(demand) => self.serve(&demand).await?,
            Want::Fresh => self.refresh().await?,
            Want::Nothing if self.is_ahead_worth_it(0) => {
                self.ahead = false;
                self.read(self.ahead_at_once(), None, None).await?;
            }
            Want::Nothing => {
                self.rest().await;
                return Ok(Contact::None);
            }
        }
        Ok(Contact::Answered)
    }

    /// Takes one step towards answering a demand.
    async fn serve(&mut self, demand: &Demand) -> Result<(), CommandError> {
        if self.joined != Joined::Yes {
            self.join().await?;
        }
        if self.recovery.is_some() {
            return self.recover(demand.max).await;
        }
        if self.agenda.next_retry().is_some_and(|at| at <= Instant::now()) {
            return self.retry(demand.max).await;
        }
        if self.scan.is_due() {
            self.scan(demand.max).await?;
            if self.inbox.has_ready() {
                return Ok(());
            }
        }
        let left = demand.until.saturating_duration_since(Instant::now());
        // Reads that take expired entries along leave it to a scan of its own time to find what is gone from the stream.
        let claims = self.reads.claims();
        let scanned = if claims { self.scan.was_made() } else { !self.scan.is_older_than(demand.since) };
        // Such a read may wait for both at once. Others come without waiting first: only when there is nothing new is it
        // worth looking for expired leases.
        let waits_for_both = claims && scanned && !left.is_zero();
        if !waits_for_both && self.read_to_end.is_none_or(|at| at < demand.since) {
            return self.read(demand.max, None, Some(demand)).await;
        }
        if !scanned {
            return self.scan(demand.max).await;
        }
        if left.is_zero() {
            self.inbox.answer(demand, Ok(()));
            return Ok(());
        }
        self.read(demand.max, Some(left.min(self.block)), Some(demand)).await
    }

    /// Whether to read before anybody asks, with so many at hand that `receive` does not find yet. What was given back and what
    /// others left behind must not wait for the end of a backlog: when it is time to look for that, the next read is one that
    /// was asked for.
    fn is_ahead_worth_it(&self, arrived: usize) -> bool {
        let asked = self.inbox.asked();
        self.ahead
            && self.joined == Joined::Yes
            && asked >= READ_AHEAD_FROM
            && self.inbox.lies_ready() + arrived + self.ahead_at_once() <= BATCHES_AHEAD * asked
            && !self.inbox.is_closed()
            && !self.is_looking_due()
    }

    /// How many events one read fetches ahead: half of what was asked for, so that the server has the next to do before
    /// whoever receives has taken the last.
    fn ahead_at_once(&self) -> usize {
        (self.inbox.asked() / 2).max(READ_AHEAD_FROM)
    }

    /// Whether it is time to look for entries that the group has given out before.
    fn is_looking_due(&self) -> bool {
        self.scan.is_due() || self.agenda.next_retry().is_some_and(|at| at <= Instant::now())
    }

    /// Waits until there is something to do.
    async fn rest(&self) {
        match self.next_upkeep() {
            Some(at) => {
                tokio::select! {
                    () = self.inbox.rung() => {}
                    () = sleep_until(at) => {}
                }
            }
            None => self.inbox.rung().await,
        }
    }

    /// Answers a demand that met an error, or waits a little before trying again.
    async fn trouble(&mut self, error: CommandError, backoff: &mut Backoff) {
        if error.code() == Code::GroupLost {
            warn!(%error, group = self.member.group, "the consumer group is gone and is made again");
            self.joined = Joined::Lost;
            return;
        }
        let error = self.reads.link().explain(self.commands.link().explain(error));
        let key = self.commands.stream_key().as_ref();
        let translated = Error::from(error.clone());
        if !translated.is_transient() {
            warn!(stream = key, %error, "the server refuses what a consumer needs");
            match self.inbox.want() {
                Want::Events(demand) => self.inbox.answer(&demand, Err(translated)),
                _ => self.pause(backoff.next(), None).await,
            }
            return;
        }
        let delay = backoff.next();
        if backoff.is_first() {
            warn!(stream = key, %error, "events cannot be fetched; trying on");
        } else {
            debug!(stream = key, %error, "events still cannot be fetched");
        }
        match self.inbox.want() {
            Want::Events(demand) => {
                self.inbox.note(Error::from(error));
                self.pause(delay, Some(demand.until)).await;
                if demand.until <= Instant::now() {
                    self.inbox.answer(&demand, Err(translated));
                }
            }
            _ => self.pause(delay, None).await,
        }
    }

    /// Waits, but not beyond `until` and not when closing.
    async fn pause(&self, delay: Duration, until: Option<Instant>) {
        let end = Instant::now() + delay;
        let end = until.map_or(end, |until| end.min(until));
        while !self.inbox.is_closed() {
            tokio::select! {
                () = self.inbox.rung() => {}
                () = sleep_until(end) => return,
            }
        }
    }
}
