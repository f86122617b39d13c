//! The receive calls of one consumer: in tasks of their own, so that nobody who stops waiting loses what they bring.

use std::sync::Arc;
use std::time::Duration;

use events_core::{Error, ErrorKind, Result};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::config::AwsConfig;
use crate::intake::Intake;
use crate::limits;
use crate::seconds::whole_seconds;

/// The shortest wait at the queue. SQS answers a call that does not wait from some of its servers only, so that nothing
/// follows from an empty answer; one that waits is answered from all.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Polls {
    intake: Arc<Intake>,
    tasks: JoinSet<Poll>,
    /// Calls on their way that wait at the queue.
    waiting: usize,
    /// When the last of them ends.
    waiting_until: Instant,
    /// Whether the last calls brought at least half of what they asked for, so that there is more.
    more: bool,
    concurrency: usize,
    longest_wait: Duration,
}

/// A call that ended.
#[derive(Debug)]
struct Poll {
    waited: bool,
    asked_for: usize,
    outcome: Result<usize>,
}

impl Polls {
    pub(crate) fn new(intake: Arc<Intake>, config: &AwsConfig) -> Self {
        Self {
            intake,
            tasks: JoinSet::new(),
            waiting: 0,
            waiting_until: Instant::now(),
            more: false,
            concurrency: config.concurrency.get(),
            longest_wait: config.poll_wait,
        }
    }

    /// Asks the queue for up to `max` messages, or waits for the calls that do already, until something changes.
    /// Returns whether the queue said for certain what it has.
    ///
    /// Where the last calls brought at least half of what they asked for, several that do not wait are made at once; else one that waits.
    /// Together they ask for no more than `max`, so that nothing is received that nobody has asked for.
    ///
    /// Dropping the future leaves the calls on their way; what they bring is on the shelf afterwards.
    pub(crate) async fn ask(&mut self, max: usize, left: Duration) -> Result<bool> {
        let now = Instant::now();
        if self.intake.holdings().shelved() >= self.concurrency * limits::BATCH_ENTRIES {
            // Everything waits for its group; more would only wait with it.
            tokio::select! {
                () = self.intake.changed.notified() => {}
                () = tokio::time::sleep(left) => {}
            }
            return Ok(true);
        }
        if self.tasks.is_empty() {
            self.waiting = 0;
            if self.more { self.ask_at_once(max) } else { self.ask_and_wait(max, left) }
        } else if self.waiting > 0
            && self.waiting_until > now + left.max(SHORTEST_WAIT)
            && self.tasks.len() < self.concurrency
        {
            // What is on its way was asked for by somebody with more time.
            self.ask_and_wait(max, left);
        }
        self.answer().await
    }

    fn ask_at_once(&mut self, max: usize) {
        let mut left = max;
        while left > 0 && self.tasks.len() < self.concurrency {
            let asked_for = left.min(limits::BATCH_ENTRIES);
            self.spawn(asked_for, Duration::ZERO);
            left -= asked_for;
        }
    }

    fn ask_and_wait(&mut self, max: usize, left: Duration) {
        let wait = left.clamp(SHORTEST_WAIT, self.longest_wait);
        let wait = Duration::from_secs(u64::try_from(whole_seconds(wait)).unwrap_or(1));
        self.waiting += 1;
        self.waiting_until = Instant::now() + wait;
        self.spawn(max.min(limits::BATCH_ENTRIES), wait);
    }

    fn spawn(&mut self, asked_for: usize, wait: Duration) {
        let intake = Arc::clone(&self.intake);
        self.tasks.spawn(async move {
            let outcome = Box::pin(intake.poll(asked_for, wait)).await;
            Poll { waited: !wait.is_zero(), asked_for, outcome }
        });
    }

    /// The first answer; all answers where none of the calls waits at the queue.
    async fn answer(&mut self) -> Result<bool> {
        let (mut asked_for, mut brought, mut certain) = (0, 0, false);
        loop {
            let ended = tokio::select! {
                ended = self.tasks.join_next() => ended,
                // A message on the shelf became free to be handed over.
                () = self.intake.changed.notified(), if self.waiting > 0 => return Ok(false),
            };
            let Some(ended) = ended else { break };
            let poll = ended.map_err(cut_short)?;
            self.waiting -= usize::from(poll.waited && self.waiting > 0);
            asked_for += poll.asked_for;
            certain |= poll.waited;
            match poll.outcome {
                Ok(count) => brought += count,
                Err(error) => {
                    self.more = false;
                    return Err(error);
                }
            }
            if self.waiting > 0 || poll.waited {
                break;
            }
        }
        // SQS often brings fewer than it has, so that all of them would be too much to ask.
        self.more = brought > 0 && brought * 2 >= asked_for;
        Ok(certain)
    }

    /// Waits for the calls on their way.
    pub(crate) async fn finish(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Lets the calls on their way end by themselves.
    pub(crate) fn detach(&mut self) {
        self.tasks.detach_all();
    }
}

fn cut_short(error: JoinError) -> Error {
    Error::new(ErrorKind::Backend, "receive", "a receive call was cut short").with_source(error)
}
