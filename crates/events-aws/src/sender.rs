//! Sends messages in batches, and again those entries of a batch the service could not take just then.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use crate::calls::{AwsClients, Outcomes};
use crate::error::{CallError, Code};
use crate::limits;
use crate::message::Outgoing;
use crate::target::Target;

/// How often an entry is sent that the service blames itself for refusing.
const ATTEMPTS: u32 = 5;

/// The pause before such an entry is sent for the second time; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Sends to one topic or queue.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) clients: AwsClients,
    pub(crate) target: Target,
    /// The largest sum of a batch.
    pub(crate) max_batch_bytes: usize,
    pub(crate) concurrency: usize,
}

/// One publish: its time, and whether there is any use in going on.
struct Attempt {
    deadline: Instant,
    /// Set when the service cannot be reached, so that the batches after the first do not wait for the same end.
    away: AtomicBool,
}

impl Sender {
    /// Sends messages of any number; one outcome each, in order.
    pub(crate) async fn send_all(&self, messages: &[Outgoing], timeout: Duration) -> Outcomes<String> {
        let attempt = Attempt { deadline: Instant::now() + timeout, away: AtomicBool::new(false) };
        let ranges = split(messages, self.max_batch_bytes);
        if self.target.is_fifo() {
            return self.send_in_order(messages, ranges, &attempt).await;
        }
        let batches = ranges.into_iter().map(|range| {
            let batch: Vec<&Outgoing> = messages[range].iter().collect();
            Box::pin(async { self.send_batch(batch, &attempt).await })
        });
        stream::iter(batches).buffered(self.concurrency).concat().await
    }

    /// One batch after the other. Where a message is not accepted, the later ones of its group are not sent, so that
    /// the group has no gap that is filled afterwards.
    async fn send_in_order(
        &self,
        messages: &[Outgoing],
        ranges: Vec<Range<usize>>,
        attempt: &Attempt,
    ) -> Outcomes<String> {
        let mut stopped: HashSet<&str> = HashSet::new();
        let mut outcomes = Vec::with_capacity(messages.len());
        for range in ranges {
            let batch = &messages[range];
            let sent: Vec<&Outgoing> =
                batch.iter().filter(|message| !stopped.contains(group(message))).collect();
            let mut results = match sent.is_empty() {
                true => Vec::new(),
                false => Box::pin(self.send_batch(sent, attempt)).await,
            }
            .into_iter();
            let held_back = stopped.clone();
            for message in batch {
                let outcome = match held_back.contains(group(message)) {
                    true => Err(self.target.held_back()),
                    false => results.next().unwrap_or_else(|| Err(self.target.out_of_time())),
                };
                if outcome.is_err() {
                    stopped.insert(group(message));
                }
                outcomes.push(outcome);
            }
        }
        outcomes
    }

    async fn send_batch(&self, messages: Vec<&Outgoing>, attempt: &Attempt) -> Outcomes<String> {
        let mut outcomes: Outcomes<String> =
            messages.iter().map(|_| Err(self.target.out_of_time())).collect();
        let mut left: Vec<usize> = (0..messages.len()).collect();
        let mut pause = FIRST_PAUSE;
        for number in 1..=ATTEMPTS {
            if attempt.away.load(Ordering::Relaxed) {
                break;
            }
            let entries: Vec<&Outgoing> = left.iter().map(|at| messages[*at]).collect();
            let call =
                tokio::time::timeout_at(attempt.deadline, self.target.send(&self.clients, &entries)).await;
            let answers = match call.unwrap_or_else(|_| Err(self.target.out_of_time())) {
                Ok(answers) => answers,
                Err(error) => {
                    // The client has repeated the call as a whole for as long as that may help.
                    let away = matches!(error.code(), Code::TimedOut | Code::Unreachable);
                    attempt.away.fetch_or(away, Ordering::Relaxed);
                    for at in left {
                        outcomes[at] = Err(error.clone());
                    }
                    break;
                }
            };
            for (at, answer) in left.iter().zip(answers) {
                outcomes[*at] = answer;
            }
            left.retain(|at| outcomes[*at].as_ref().is_err_and(CallError::is_transient));
            let out_of_time = Instant::now() + pause >= attempt.deadline;
            if left.is_empty() || number == ATTEMPTS || out_of_time {
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        outcomes
    }
}

/// The message's group; messages of standard topics and queues have none.
fn group(message: &Outgoing) -> &str {
    message.order.as_ref().map_or("", |order| &order.group)
}

/// Cuts messages into batches of at most ten and at most `max_bytes`, in order. One that is larger by itself, which
/// [`Writer`](crate::message::Writer) does not make, is a batch of its own.
fn split(messages: &[Outgoing], max_bytes: usize) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (at, message) in messages.iter().enumerate() {
        let more = message.counted_bytes();
        match ranges.last_mut() {
            Some(range) if range.len() < limits::BATCH_ENTRIES && bytes + more <= max_bytes => {
                range.end = at + 1;
                bytes += more;
            }
            _ => {
                ranges.push(at..at + 1);
                bytes = more;
            }
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(bodies: &[usize], max_bytes: usize) -> Vec<usize> {
        let message =
            |length: &usize| Outgoing { body: "x".repeat(*length), attributes: Vec::new(), order: None };
        let messages: Vec<Outgoing> = bodies.iter().map(message).collect();
        split(&messages, max_bytes).into_iter().map(|range| range.len()).collect()
    }

    #[test]
    fn batches_keep_to_ten_messages_and_to_the_byte_limit() {
        assert_eq!(lengths(&[], 100), [0; 0]);
        assert_eq!(lengths(&[1; 25], 100), [10, 10, 5]);
        assert_eq!(lengths(&[50, 50, 1], 100), [2, 1]);
        assert_eq!(lengths(&[60, 60, 40, 200, 1], 100), [1, 2, 1, 1]);
    }
}
