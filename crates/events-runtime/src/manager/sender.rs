//! The sending thread: takes batches from the queue and sees them through.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::{sleep_until, timeout};

use super::config::{ManagerConfig, Overflow};
use super::connection::Connection;
use super::shared::Shared;
use super::spool::Spool;
use super::spooling::Spooling;
use super::stats::DropReason;
use super::taker::{Taken, Taker};
use crate::backoff::Backoff;

/// How long writing the rest to the spool may take once the deadline for closing has passed.
const LAST_SPOOLING: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Sender {
    config: ManagerConfig,
    shared: Arc<Shared>,
    connection: Connection,
    spooling: Option<Spooling>,
    taker: Taker,
    backoff: Backoff,
}

impl Sender {
    pub(crate) fn new(
        config: ManagerConfig,
        shared: Arc<Shared>,
        connection: Connection,
        spool: Option<Spool>,
    ) -> Self {
        let spool = spool.filter(|_| config.overflow == Overflow::Spool);
        Self {
            spooling: spool.map(|spool| Spooling::new(spool, &config)),
            taker: Taker::new(&config),
            backoff: Backoff::new(config.retry_initial, config.retry_max),
            config,
            shared,
            connection,
        }
    }

    /// Sends until somebody closes the manager, and for no longer than they allow.
    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let deadline = async move {
            let mut close_at = shared.close_at.subscribe();
            let at = close_at.wait_for(Option::is_some).await.ok().and_then(|at| *at);
            match at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.send() => {}
            () = deadline => self.give_up().await,
        }
        self.connection.close().await;
        if let Some(spooling) = &mut self.spooling {
            spooling.close().await;
        }
        self.shared.finish();
    }

    /// Sends until the manager is closed and nothing is left in memory.
    ///
    /// What is taken and not settled is in the taker whenever this future is dropped.
    async fn send(&mut self) {
        if let Some(spooling) = &mut self.spooling {
            spooling.recover(&self.shared).await;
            spooling.run(&mut self.connection, &mut self.taker, &self.shared).await;
        }
        let never = AtomicBool::new(false);
        while let Taken::Batch = self.taker.take(&self.shared, &never).await {
            match &mut self.spooling {
                None => self.see_through().await,
                Some(spooling) => {
                    let within = self.config.spool.after.min(self.config.publish_timeout);
                    let in_hand = &mut self.taker.in_hand;
                    self.connection.publish(in_hand, within, true, &self.shared).await;
                    if in_hand.is_empty() {
                        self.taker.settled(&self.shared);
                    } else {
                        spooling.run(&mut self.connection, &mut self.taker, &self.shared).await;
                    }
                }
            }
        }
    }

    /// Publishes what is in hand, however long that takes.
    async fn see_through(&mut self) {
        loop {
            let in_hand = &mut self.taker.in_hand;
            self.connection.publish(in_hand, self.config.publish_timeout, false, &self.shared).await;
            if in_hand.is_empty() {
                break;
            }
            tokio::time::sleep(self.backoff.next()).await;
        }
        self.backoff.reset();
        self.taker.settled(&self.shared);
    }

    /// The deadline has passed: what is left is spooled, or else dropped.
    async fn give_up(&mut self) {
        if let Some(spooling) = &mut self.spooling {
            let spooled = spooling.take_in_the_rest(&mut self.taker, &self.shared);
            if timeout(LAST_SPOOLING, spooled).await.is_err() {
                tracing::warn!("the spool did not take the last events within {LAST_SPOOLING:?}");
            }
        }
        for event in self.taker.in_hand.drain(..) {
            self.shared.dropped(&event, DropReason::Closed);
        }
    }
}
