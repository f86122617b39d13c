//! What a consumer, the calls it has on their way and its settler share: the way of a message from queue to delivery.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events_core::{ConsumerOptions, DeadLetterReason, Error, Event, MessageId, Receipt, Result};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::warn;

use crate::batched::Change;
use crate::burial::Burial;
use crate::calls::Outcomes;
use crate::holdings::{Held, Holdings, Shelved};
use crate::incoming::{Incoming, Opened};
use crate::queue::{Queue, Traits};
use crate::record::Cause;

#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) queue: Queue,
    pub(crate) options: ConsumerOptions,
    holdings: Mutex<Holdings>,
    /// Rings when a message may have become free to be handed over, or is to be given back.
    pub(crate) changed: Notify,
    pub(crate) keeper: Notify,
    closed: AtomicBool,
}

/// What becomes of a message that was received.
enum Judged {
    Good(Shelved),
    Dead(Held, Cause),
}

impl Intake {
    pub(crate) fn new(queue: Queue, options: ConsumerOptions) -> Self {
        Self {
            queue,
            options,
            holdings: Mutex::default(),
            changed: Notify::new(),
            keeper: Notify::new(),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn holdings(&self) -> MutexGuard<'_, Holdings> {
        // A panic elsewhere leaves at worst one message forgotten, which comes back when its lease ends.
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.keeper.notify_one();
    }

    /// How long a message is hidden that is received now.
    pub(crate) fn lease(&self, traits: &Traits) -> Duration {
        // The queue counts in whole seconds, and none would mean not to hide it at all.
        self.options.requested_lease().unwrap_or(traits.visibility).max(Duration::from_secs(1))
    }

    /// Receives once and puts what came on the shelf; returns how many messages came.
    pub(crate) async fn poll(&self, max: usize, wait: Duration) -> Result<usize> {
        let traits = self.queue.traits().await?;
        let lease = self.lease(traits);
        let messages = self.queue.clients.receive(&self.queue.address.url, max, wait, lease).await?;
        let now = Instant::now();
        let count = messages.len();
        let shelved = self.sort(messages, now, now + lease).await;
        self.holdings().shelve(shelved);
        self.changed.notify_one();
        if self.is_closed() {
            self.give_back_shelf().await?;
        }
        Ok(count)
    }

    /// Tells events from what must be dead-lettered, and dead-letters that.
    async fn sort(
        &self,
        messages: Vec<Incoming>,
        received_at: Instant,
        hidden_until: Instant,
    ) -> Vec<Shelved> {
        let judged: Vec<Judged> =
            messages.into_iter().map(|message| self.judge(message, received_at, hidden_until)).collect();
        let dead: Vec<(&Incoming, Cause)> = judged
            .iter()
            .filter_map(|judged| match judged {
                Judged::Good(_) => None,
                Judged::Dead(held, cause) => Some((&held.message, cause.clone())),
            })
            .collect();
        let burial = Burial { queue: &self.queue, options: &self.options };
        let mut buried =
            if dead.is_empty() { Vec::new() } else { Box::pin(burial.bury(&dead)).await }.into_iter();
        let mut stopped: HashSet<String> = HashSet::new();
        let mut behind = Vec::new();
        let mut good = Vec::new();
        for judged in judged {
            match judged {
                Judged::Good(Shelved { held, .. })
                    if held.message.group.as_ref().is_some_and(|group| stopped.contains(group)) =>
                {
                    behind.push(held);
                }
                Judged::Good(shelved) => good.push(shelved),
                Judged::Dead(held, cause) => {
                    if let Some(Err(error)) = buried.next() {
                        warn!(
                            queue = %self.queue.address.name, message = %held.message.message_id,
                            reason = %cause.reason, %error,
                            "a message cannot be dead-lettered; it stays in the queue and comes again"
                        );
                        stopped.extend(held.message.group);
                    }
                }
            }
        }
        if let Err(error) = self.give_back(behind).await {
            warn!(queue = %self.queue.address.name, %error, "messages could not be given back; they come again");
        }
        good
    }

    /// Whether a message is to be handed over, or why it is a dead letter.
    fn judge(&self, message: Incoming, received_at: Instant, hidden_until: Instant) -> Judged {
        let held = |message, origin_id| Held { message, origin_id, received_at, hidden_until };
        match message.open(self.queue.format, self.options.encoding()) {
            Ok(Opened { event, message_id }) => {
                let last = self.options.max_deliveries().get();
                if message.receive_count <= last || self.queue.known_dead_letters().is_none() {
                    return Judged::Good(Shelved { event, held: held(message, message_id) });
                }
                let cause = Cause {
                    reason: DeadLetterReason::MaxDeliveries,
                    detail: None,
                    attempts: message.receive_count - 1,
                    origin_id: message_id.clone(),
                };
                Judged::Dead(held(message, message_id), cause)
            }
            Err(error) => {
                let origin_id = MessageId::new(&*message.message_id);
                let cause = Cause {
                    reason: DeadLetterReason::Undecodable,
                    detail: Some(in_words(&error)),
                    attempts: message.receive_count,
                    origin_id: origin_id.clone(),
                };
                Judged::Dead(held(message, origin_id), cause)
            }
        }
    }

    /// Extends what is to be handed over next and has waited on the shelf, so that its lease begins when it is.
    pub(crate) async fn refresh(&self, max: usize) {
        // What came just now, which is what comes as a rule, is fresh enough.
        let Ok(traits) = self.queue.traits().await else { return };
        let lease = self.lease(traits);
        let stale = self.holdings().stale(max, Instant::now() + lease * 3 / 4);
        if !stale.is_empty() {
            let timed = stale.into_iter().map(|handle| (handle, lease)).collect();
            self.extend_shelved(timed).await;
        }
    }

    pub(crate) async fn extend_shelved(&self, timed: Vec<(String, Duration)>) {
        let asked_at = Instant::now();
        let outcomes = self.hide(&timed).await;
        let mut holdings = self.holdings();
        for ((handle, time), outcome) in timed.iter().zip(outcomes) {
            match outcome {
                Ok(()) => holdings.extended(handle, asked_at + *time),
                // It is asked again before the lease ends.
                Err(error) if error.is_transient() => {}
                Err(_) => holdings.lost(handle),
            }
        }
    }

    pub(crate) fn take(&self, max: usize) -> Vec<(Event, Receipt)> {
        self.holdings().take(max, Instant::now())
    }

    /// Shows everything on the shelf to everybody again.
    pub(crate) async fn give_back_shelf(&self) -> Result<()> {
        let all = self.holdings().clear_shelf();
        self.give_back(all).await
    }

    pub(crate) async fn give_back(&self, held: Vec<Held>) -> Result<()> {
        let now = Instant::now();
        let hidden = held.into_iter().filter(|held| held.is_hidden(now));
        let shown: Vec<_> = hidden.map(|held| (held.message.handle, Duration::ZERO)).collect();
        let failed = self.hide(&shown).await.into_iter().filter_map(|outcome| outcome.err());
        // What is no longer ours is where it should be.
        match failed.map(Error::from).find(|error| error.kind() != events_core::ErrorKind::NotFound) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Hides messages for these times from now.
    pub(crate) async fn hide(&self, timed: &[(String, Duration)]) -> Outcomes<()> {
        Change::Hide(timed).make(&self.queue.clients, &self.queue.address.url).await
    }
}

/// The error and what caused it, in one line.
fn in_words(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{}: {source}", error.message()),
        None => error.message().to_owned(),
    }
}
