//! Publishing through the spool: new events go in behind, the oldest go out to the broker.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use events_core::{Error, Event, MessageId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::config::ManagerConfig;
use super::connection::Connection;
use super::shared::Shared;
use super::spool::{Depth, Spool, SpoolReader, SpoolWriter, size};
use super::spool_lock::SpoolLock;
use super::taker::{Taken, Taker};
use crate::backoff::Backoff;

/// How often a spool that is full or cannot be written is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// How often trouble with the spool is mentioned.
const REMINDER: Duration = Duration::from_secs(30);

/// A spool in use: new events go in through the intake, the oldest go out through the drain.
#[derive(Debug)]
pub(crate) struct Spooling {
    intake: Intake,
    drain: Drain,
    depth: Depth,
    lock: Option<SpoolLock>,
}

impl Spooling {
    pub(crate) fn new(spool: Spool, config: &ManagerConfig) -> Self {
        let drain = Drain {
            reader: spool.reader,
            batch: config.batch,
            publish_timeout: config.publish_timeout,
            backoff: Backoff::new(config.retry_initial, config.retry_max),
        };
        let intake = Intake { writer: spool.writer, mentioned: None };
        Self { intake, drain, depth: Depth::new(&config.spool), lock: spool.lock }
    }

    /// Finds what an earlier process left; it goes out before anything new.
    pub(crate) async fn recover(&mut self, shared: &Shared) {
        while let Err(error) = self.drain.reader.count(&self.depth).await {
            tracing::warn!(%error, "the spool cannot be read");
            self.depth.clear();
            sleep(self.drain.backoff.next()).await;
        }
        self.drain.backoff.reset();
        let left = self.depth.events();
        if left > 0 {
            tracing::info!(events = left, "events of an earlier process are published from the spool");
        }
        shared.counters.recovered.store(left, Ordering::Relaxed);
        shared.counters.spooled.store(left, Ordering::Relaxed);
    }

    /// Spools what is in hand and everything after it, publishing from the other end, until the spool is empty or the
    /// manager is closed and has nothing left in memory.
    pub(crate) async fn run(&mut self, connection: &mut Connection, taker: &mut Taker, shared: &Shared) {
        let Self { intake, drain, depth, .. } = self;
        loop {
            if depth.is_empty() {
                if taker.in_hand.is_empty() {
                    return taker.settled(shared);
                }
                if !intake.append(depth, taker, shared).await {
                    // The disk fails as well, so whichever is back first gets the events.
                    sleep(drain.backoff.next()).await;
                    connection.publish(&mut taker.in_hand, drain.publish_timeout, true, shared).await;
                    continue;
                }
            }
            let stop = AtomicBool::new(false);
            let leaving = watch::Sender::new(false);
            let mut taking_in = pin!(intake.run(depth, taker, shared, &stop));
            let mut draining = pin!(drain.run(connection, depth, shared, leaving.subscribe()));
            let closed = tokio::select! {
                biased;
                closed = &mut taking_in => {
                    // Nothing can be lost any more, but what the broker takes now need not wait for the next process.
                    leaving.send_replace(true);
                    draining.await;
                    closed
                }
                () = &mut draining => {
                    // What is being spooled at this moment is finished first, and goes out in the next turn.
                    stop.store(true, Ordering::SeqCst);
                    shared.queue.nudge();
                    taking_in.await
                }
            };
            if closed {
                return;
            }
        }
    }

    /// Spools what is in hand and in the queue, without waiting for more.
    pub(crate) async fn take_in_the_rest(&mut self, taker: &mut Taker, shared: &Shared) {
        loop {
            taker.take_now(shared);
            if taker.in_hand.is_empty() || !self.intake.append(&self.depth, taker, shared).await {
                return;
            }
        }
    }

    pub(crate) async fn close(&mut self) {
        for closed in [self.intake.writer.close().await, self.drain.reader.close().await] {
            if let Err(error) = closed {
                tracing::warn!(%error, "the spool did not close cleanly");
            }
        }
        // Before anybody hears that the manager is closed: who opens the spool then must find it free.
        self.lock = None;
    }
}

/// The incoming side of a spool.
#[derive(Debug)]
struct Intake {
    writer: SpoolWriter,
    /// When trouble was last mentioned; `None` while there is none.
    mentioned: Option<Instant>,
}

impl Intake {
    /// Spools events until it is stopped, or the manager is closed and everything is in the spool; says whether it is that.
    async fn run(&mut self, depth: &Depth, taker: &mut Taker, shared: &Shared, stop: &AtomicBool) -> bool {
        loop {
            while !self.append(depth, taker, shared).await {
                if stop.load(Ordering::SeqCst) {
                    return false;
                }
                sleep(RETRY).await;
            }
            match taker.take(shared, stop).await {
                Taken::Batch => {}
                Taken::Stopped => return false,
                Taken::Closed => return true,
            }
        }
    }

    /// Spools what is in hand; `false` when some of it is still in hand, because there is no room or the disk fails.
    ///
    /// Dropping the future leaves in hand what may have been spooled: it is then there twice.
    async fn append(&mut self, depth: &Depth, taker: &mut Taker, shared: &Shared) -> bool {
        if taker.in_hand.is_empty() {
            return true;
        }
        let room = depth.room_for(&taker.in_hand);
        let appended = match room {
            0 => Err(Error::new(events_core::ErrorKind::Full, "spool", "the spool has reached its limit")),
            room => self.writer.append(&mut taker.in_hand, room, depth, shared).await,
        };
        shared.counters.spooled.store(depth.events(), Ordering::Relaxed);
        let all = taker.in_hand.is_empty();
        shared.spool_full.store(!all || depth.is_full(), Ordering::Relaxed);
        match appended {
            Ok(()) => self.mentioned = None,
            Err(error) if self.mentioned.is_none_or(|at| at.elapsed() >= REMINDER) => {
                self.mentioned = Some(Instant::now());
                tracing::warn!(%error, "events cannot be spooled");
            }
            Err(_) => {}
        }
        if all {
            taker.settled(shared);
        }
        all
    }
}

/// The outgoing side of a spool.
#[derive(Debug)]
struct Drain {
    reader: SpoolReader,
    batch: NonZeroUsize,
    publish_timeout: Duration,
    backoff: Backoff,
}

impl Drain {
    /// Publishes the oldest events, batch by batch, until the spool is empty; once the manager is leaving, until the first
    /// failure.
    ///
    /// Dropping the future leaves the batch that is on its way in the spool, from where it is published again.
    async fn run(
        &mut self,
        connection: &mut Connection,
        depth: &Depth,
        shared: &Shared,
        mut leaving: watch::Receiver<bool>,
    ) {
        while !depth.is_empty() {
            let first = match self.reader.first(self.batch).await {
                Ok(first) => first,
                Err(error) => {
                    tracing::warn!(%error, "the spool cannot be read");
                    if self.pause(&mut leaving).await {
                        return;
                    }
                    continue;
                }
            };
            if first.is_empty() {
                depth.clear();
                break;
            }
            let (ids, mut events): (Vec<MessageId>, Vec<Event>) = first.into_iter().unzip();
            let bytes = events.iter().map(size).sum();
            loop {
                connection.publish(&mut events, self.publish_timeout, true, shared).await;
                if events.is_empty() {
                    break;
                }
                if self.pause(&mut leaving).await {
                    return;
                }
            }
            self.backoff.reset();
            while let Err(error) = self.reader.remove(&ids).await {
                tracing::warn!(%error, "published events cannot be removed from the spool");
                if self.pause(&mut leaving).await {
                    return;
                }
            }
            self.backoff.reset();
            depth.remove(ids.len() as u64, bytes);
            shared.counters.spooled.store(depth.events(), Ordering::Relaxed);
        }
        shared.counters.spooled.store(0, Ordering::Relaxed);
    }

    /// Waits before the next attempt, unless the manager is leaving; says whether it is.
    async fn pause(&mut self, leaving: &mut watch::Receiver<bool>) -> bool {
        timeout(self.backoff.next(), leaving.wait_for(|leaving| *leaving)).await.is_ok()
    }
}
