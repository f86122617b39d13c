//! Moves messages to the dead-letter queue.

use std::time::Duration;

use events_core::{ConsumerOptions, Error, ErrorKind, Result};

use crate::batched::Change;
use crate::error::Code;
use crate::incoming::Incoming;
use crate::limits;
use crate::message::Outgoing;
use crate::queue::Queue;
use crate::record::{self, Cause};
use crate::sender::Sender;
use crate::target::Target;

/// Batches of letters on their way at a time.
const CONCURRENCY: usize = 4;

/// How long sending letters may take, repetitions included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How the messages of one consumer are moved.
///
/// A message is sent to the dead-letter queue and then deleted: where the second step fails it is in both queues and is
/// moved again, never in neither.
#[derive(Debug)]
pub(crate) struct Burial<'a> {
    pub(crate) queue: &'a Queue,
    pub(crate) options: &'a ConsumerOptions,
}

impl Burial<'_> {
    /// Moves messages; one outcome each, in order.
    pub(crate) async fn bury(&self, messages: &[(&Incoming, Cause)]) -> Vec<Result<()>> {
        let traits = match self.queue.traits().await {
            Ok(traits) => traits,
            Err(error) => return messages.iter().map(|_| Err(error.clone().into())).collect(),
        };
        let Some(graveyard) = &traits.dead_letters else {
            let refusal = || {
                let message = "the queue has no dead-letter queue, and none is configured";
                Error::new(ErrorKind::Unsupported, "dead-letter", message)
            };
            return messages.iter().map(|_| Err(refusal())).collect();
        };
        let letter = |(message, cause): &(&Incoming, Cause)| {
            record::letter(message, cause, &self.queue.address.name, self.options, graveyard.is_fifo())
        };
        let letters: Vec<Outgoing> = messages.iter().map(letter).collect();
        let sender = Sender {
            clients: self.queue.clients.clone(),
            target: Target::Queue(graveyard.clone()),
            max_batch_bytes: limits::SQS_MESSAGE_BYTES,
            concurrency: CONCURRENCY,
        };
        let sent = sender.send_all(&letters, TIMEOUT).await;
        let mut outcomes: Vec<Result<()>> =
            sent.into_iter().map(|sent| sent.map(drop).map_err(Error::from)).collect();
        let moved: Vec<usize> = (0..messages.len()).filter(|at| outcomes[*at].is_ok()).collect();
        let handles: Vec<String> = moved.iter().map(|at| messages[*at].0.handle.clone()).collect();
        let deleted = Change::Delete(&handles).make(&self.queue.clients, &self.queue.address.url).await;
        for (at, deleted) in moved.iter().zip(deleted) {
            match deleted {
                // Somebody else has it, and moves it again or handles it: more than once, never lost.
                Err(error) if error.code() != Code::HandleGone => outcomes[*at] = Err(error.into()),
                _ => {}
            }
        }
        for (_, (_, cause)) in outcomes.iter().zip(messages).filter(|(outcome, _)| outcome.is_ok()) {
            self.options.observer().dead_lettered(cause.reason, 1);
        }
        outcomes
    }
}
