//! Settles the deliveries of one consumer.

use std::sync::Arc;
use std::time::Duration;

use events_core::{DeadLetterReason, Error, ErrorKind, Receipt, Result, Settlement, Settler, async_trait};
use tokio::time::Instant;

use crate::burial::Burial;
use crate::deleter::Deleter;
use crate::error::Code;
use crate::incoming::Incoming;
use crate::intake::Intake;
use crate::record::Cause;

/// The shortest time a message stays hidden whose lease is extended; SQS counts in seconds, and zero would show it.
const SHORTEST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct SqsSettler {
    pub(crate) intake: Arc<Intake>,
    pub(crate) deleter: Deleter,
}

impl SqsSettler {
    async fn ack(&self, receipts: &[Receipt]) -> Vec<Result<()>> {
        let handles = receipts.iter().filter_map(|receipt| receipt.handle.as_deref().map(str::to_owned));
        let mut outcomes = self.deleter.delete(handles).await.into_iter();
        let mut settled = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            let outcome = match receipt.handle {
                Some(_) => outcomes.next().unwrap_or(Ok(())).map_err(Error::from),
                None => Err(no_handle()),
            };
            if outcome.is_ok() {
                self.intake.holdings().done(receipt);
            }
            settled.push(outcome);
        }
        self.intake.changed.notify_one();
        settled
    }

    /// Shows messages again after `delay`, those that had their last attempt excepted: they are dead-lettered.
    async fn nack(&self, receipts: &[Receipt], delay: Duration, error: Option<&str>) -> Vec<Result<()>> {
        let last = self.intake.options.max_deliveries().get();
        let can_bury = self.intake.queue.known_dead_letters().is_some();
        let is_last = |receipt: &&Receipt| can_bury && receipt.attempt >= last;
        let (dead, again): (Vec<&Receipt>, Vec<&Receipt>) = receipts.iter().partition(is_last);
        let mut buried = self.bury(&dead, DeadLetterReason::MaxDeliveries, error).await.into_iter();
        let mut shown = self.show(&again, delay).await.into_iter();
        let outcome = |receipt: &Receipt| if is_last(&receipt) { buried.next() } else { shown.next() };
        receipts.iter().map(outcome).map(|outcome| outcome.unwrap_or_else(|| Err(no_handle()))).collect()
    }

    async fn show(&self, receipts: &[&Receipt], delay: Duration) -> Vec<Result<()>> {
        let now = Instant::now();
        let timed: Vec<Option<(String, Duration)>> = {
            let holdings = self.intake.holdings();
            let held = receipts.iter().map(|receipt| holdings.in_hand(receipt, now));
            held.map(|held| Some((held?.message.handle.clone(), held?.allowed(delay, now)))).collect()
        };
        // What is behind a message that failed goes back first, while the message itself still holds its group.
        let behind = {
            let mut holdings = self.intake.holdings();
            receipts.iter().for_each(|receipt| holdings.failed(receipt));
            holdings.take_returns()
        };
        if let Err(error) = self.intake.give_back(behind).await {
            tracing::warn!(%error, "messages of a group could not be given back; they come again");
        }
        let shown: Vec<_> = timed.iter().flatten().cloned().collect();
        let mut outcomes = self.intake.hide(&shown).await.into_iter();
        let outcome = |timed: Option<(String, Duration)>| match timed {
            // The lease has ended: the message is somebody else's, or shown already.
            None => Ok(()),
            Some(_) => match outcomes.next().unwrap_or(Ok(())) {
                Err(error) if error.code() != Code::HandleGone => Err(error.into()),
                _ => Ok(()),
            },
        };
        timed.into_iter().map(outcome).collect()
    }

    async fn bury(
        &self,
        receipts: &[&Receipt],
        reason: DeadLetterReason,
        detail: Option<&str>,
    ) -> Vec<Result<()>> {
        let now = Instant::now();
        let messages: Vec<Option<(Incoming, Cause)>> = {
            let holdings = self.intake.holdings();
            let letter = |receipt: &&Receipt| {
                let held = holdings.in_hand(receipt, now)?;
                let cause = Cause {
                    reason,
                    detail: detail.map(str::to_owned),
                    attempts: receipt.attempt,
                    origin_id: held.origin_id.clone(),
                };
                Some((held.message.clone(), cause))
            };
            receipts.iter().map(letter).collect()
        };
        let moved: Vec<(&Incoming, Cause)> =
            messages.iter().flatten().map(|(message, cause)| (message, cause.clone())).collect();
        let burial = Burial { queue: &self.intake.queue, options: &self.intake.options };
        let mut outcomes = Box::pin(burial.bury(&moved)).await.into_iter();
        let mut settled = Vec::with_capacity(receipts.len());
        for (receipt, message) in receipts.iter().zip(&messages) {
            let outcome = match message {
                None => Ok(()),
                Some(_) => outcomes.next().unwrap_or_else(|| Err(no_handle())),
            };
            if outcome.is_ok() {
                self.intake.holdings().done(receipt);
            }
            settled.push(outcome);
        }
        self.intake.changed.notify_one();
        settled
    }
}

#[async_trait]
impl Settler for SqsSettler {
    async fn settle(&self, receipts: &[Receipt], settlement: &Settlement) -> Vec<Result<()>> {
        let all = || receipts.iter().collect::<Vec<_>>();
        match settlement {
            Settlement::Ack => self.ack(receipts).await,
            Settlement::Nack { delay, error } => {
                Box::pin(self.nack(receipts, *delay, error.as_deref())).await
            }
            Settlement::Release => self.show(&all(), Duration::ZERO).await,
            Settlement::Reject { reason } => {
                self.bury(&all(), DeadLetterReason::Rejected, Some(reason)).await
            }
            _ => receipts.iter().map(|_| Err(Error::unsupported("settle"))).collect(),
        }
    }

    async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<()>> {
        let gone = || Error::new(ErrorKind::NotFound, "extend", "the delivery no longer holds its event");
        let now = Instant::now();
        let timed: Vec<Option<(String, Duration)>> = {
            let holdings = self.intake.holdings();
            let timed = |receipt: &Receipt| {
                let held = holdings.in_hand(receipt, now)?;
                let time = held.allowed(lease.max(SHORTEST), now);
                (time >= SHORTEST).then(|| (held.message.handle.clone(), time))
            };
            receipts.iter().map(timed).collect()
        };
        let asked: Vec<_> = timed.iter().flatten().cloned().collect();
        let mut outcomes = self.intake.hide(&asked).await.into_iter();
        let outcome = |timed: Option<(String, Duration)>| {
            let (handle, time) = timed.ok_or_else(gone)?;
            outcomes.next().unwrap_or(Ok(()))?;
            self.intake.holdings().extended(&handle, now + time);
            Ok(())
        };
        timed.into_iter().map(outcome).collect()
    }

    fn abandon(&self, receipt: &Receipt) {
        self.intake.holdings().failed(receipt);
        // What was behind it in its group is given back by the keeper.
        self.intake.keeper.notify_one();
    }
}

fn no_handle() -> Error {
    Error::new(ErrorKind::Backend, "settle", "the delivery has no receipt handle")
}
