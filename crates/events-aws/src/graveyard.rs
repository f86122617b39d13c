//! The dead-letter queue of a queue: what lies in it, what is given back and what is deleted.

use std::collections::HashSet;
use std::time::Duration;

use events_core::{DeadLetter, Error, ErrorKind, Result};
use tokio::sync::Mutex;

use crate::address::QueueAddress;
use crate::batched::Change;
use crate::error::{CallError, Code};
use crate::incoming::Incoming;
use crate::limits;
use crate::message::Outgoing;
use crate::queue::{Queue, Traits};
use crate::record;
use crate::sender::Sender;
use crate::target::Target;

/// How long letters are hidden while they are looked at.
const LOOK: Duration = Duration::from_secs(60);

/// How many letters are looked at, so that memory has a bound.
const MOST: usize = 10_000;

/// How long an empty dead-letter queue is waited for, which makes its answer certain.
const WAIT: Duration = Duration::from_secs(1);

/// How long giving letters back may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What is wanted of some letters.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    Back,
    Gone,
}

#[derive(Debug)]
pub(crate) struct Graveyard {
    pub(crate) queue: Queue,
    /// Two who look at once would hide letters from each other.
    turn: Mutex<()>,
}

impl Graveyard {
    pub(crate) fn new(queue: Queue) -> Self {
        Self { queue, turn: Mutex::new(()) }
    }

    /// The dead letters of the queue, without an order.
    pub(crate) async fn list(&self) -> Result<Vec<DeadLetter>> {
        let (traits, address) = self.address().await?;
        let _turn = self.turn.lock().await;
        let (letters, outcome) = self.look(address, |_| false).await;
        self.show(address, &letters).await;
        outcome?;
        let name = &self.queue.address.name;
        let mine = letters.iter().filter(|letter| self.is_mine(traits, letter));
        Ok(mine.map(|letter| record::read(letter, name, traits.max_receives)).collect())
    }

    /// Gives letters back or deletes them, and returns how many.
    pub(crate) async fn handle(&self, mut ids: HashSet<String>, wanted: Wanted) -> Result<u64> {
        let (traits, address) = self.address().await?;
        let _turn = self.turn.lock().await;
        let all_found =
            |letters: &[Incoming]| ids.iter().all(|id| letters.iter().any(|letter| letter.message_id == *id));
        let (letters, outcome) = self.look(address, all_found).await;
        let (chosen, others): (Vec<Incoming>, Vec<Incoming>) = letters
            .into_iter()
            .partition(|letter| self.is_mine(traits, letter) && ids.remove(&letter.message_id));
        self.show(address, &others).await;
        let (mut handled, mut first_error) = (Vec::new(), None);
        match wanted {
            Wanted::Gone => handled = chosen,
            Wanted::Back => {
                let originals: Vec<Outgoing> = chosen
                    .iter()
                    .map(|letter| record::original(letter, self.queue.address.is_fifo()))
                    .collect();
                let sender = Sender {
                    clients: self.queue.clients.clone(),
                    target: Target::Queue(self.queue.address.clone()),
                    max_batch_bytes: limits::SQS_MESSAGE_BYTES,
                    concurrency: 1,
                };
                for (letter, sent) in chosen.into_iter().zip(sender.send_all(&originals, TIMEOUT).await) {
                    match sent {
                        Ok(_) => handled.push(letter),
                        Err(error) => first_error = first_error.or(Some(error)),
                    }
                }
            }
        }
        let handles: Vec<String> = handled.into_iter().map(|letter| letter.handle).collect();
        let mut count = 0;
        for deleted in Change::Delete(&handles).make(&self.queue.clients, &address.url).await {
            match deleted {
                Ok(()) => count += 1,
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        outcome?;
        first_error.map_or(Ok(count), |error| Err(error.into()))
    }

    async fn address(&self) -> Result<(&Traits, &QueueAddress)> {
        let traits = self.queue.traits().await?;
        let address = traits.dead_letters.as_ref().ok_or_else(|| {
            let message = "the queue has no dead-letter queue, and none is configured";
            Error::new(ErrorKind::Unsupported, "dead letters", message)
        })?;
        Ok((traits, address))
    }

    fn is_mine(&self, traits: &Traits, letter: &Incoming) -> bool {
        record::is_from(letter, &self.queue.address.name, traits.arn.as_deref())
    }

    /// Takes letters until there are no more, or `enough`; they are hidden afterwards, also after an error.
    async fn look(
        &self,
        address: &QueueAddress,
        enough: impl Fn(&[Incoming]) -> bool,
    ) -> (Vec<Incoming>, Result<(), CallError>) {
        let mut letters: Vec<Incoming> = Vec::new();
        let mut known = HashSet::new();
        while letters.len() < MOST && !enough(&letters) {
            let batch = self.queue.clients.receive(&address.url, limits::BATCH_ENTRIES, WAIT, LOOK).await;
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return (letters, Err(error)),
            };
            let before = letters.len();
            letters.extend(batch.into_iter().filter(|letter| known.insert(letter.message_id.clone())));
            if letters.len() == before {
                // Nothing came, or only what came before and whose time to be hidden is over.
                break;
            }
        }
        (letters, Ok(()))
    }

    async fn show(&self, address: &QueueAddress, letters: &[Incoming]) {
        let timed: Vec<(String, Duration)> =
            letters.iter().map(|letter| (letter.handle.clone(), Duration::ZERO)).collect();
        for outcome in Change::Hide(&timed).make(&self.queue.clients, &address.url).await {
            match outcome {
                Err(error) if error.code() != Code::HandleGone => {
                    let error = Error::from(error);
                    tracing::warn!(%error, "a dead letter stays hidden for up to a minute");
                }
                _ => {}
            }
        }
    }
}
