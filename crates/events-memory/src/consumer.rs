//! Consumes from a stream in memory.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use events_core::{
    Capabilities, ConsumerOptions, DeadLetterReason, Delivery, DeliveryParts, Error, EventConsumer, Result,
    Settler, async_trait,
};
use tokio::time::Instant;

use crate::cell::{Cell, deadline};
use crate::clock::Moment;
use crate::log::{Start, position};
use crate::settler::MemorySettler;
use crate::stream::{Lent, Member};

/// A member of a consumer group on one stream of a [`MemoryBroker`](crate::MemoryBroker). It fetches nothing ahead.
#[derive(Debug)]
pub struct MemoryConsumer {
    settler: Arc<MemorySettler>,
    /// Where the group was when this consumer last saw it; a group that is removed begins here again.
    unfinished: Start,
    closed: bool,
}

impl MemoryConsumer {
    pub(crate) fn join(cell: Arc<Cell>, options: ConsumerOptions) -> Result<Self> {
        options.validate()?;
        let unfinished = cell.look(|stream| {
            let start = stream.log.start(options.start_from())?;
            Ok(stream.join(options.group(), start))
        })?;
        let member = Member { name: options.consumer_name().into(), options };
        Ok(Self { settler: Arc::new(MemorySettler { cell, member }), unfinished, closed: false })
    }

    /// Takes up to `max` events that can be decoded; without one, says when the next becomes due by itself.
    fn take(&mut self, max: NonZeroUsize) -> (Vec<Delivery>, Option<Moment>) {
        let mut deliveries = Vec::new();
        while deliveries.len() < max.get() {
            let (lent, next_due) = self.lend(max.get() - deliveries.len());
            if lent.is_empty() {
                return (deliveries, next_due);
            }
            deliveries.extend(lent.into_iter().filter_map(|lent| self.deliver(lent)));
        }
        (deliveries, None)
    }

    pub(crate) fn lend(&mut self, max: usize) -> (Vec<Lent>, Option<Moment>) {
        let MemorySettler { cell, member } = &*self.settler;
        cell.look(|stream| {
            stream.join(member.options.group(), self.unfinished);
            let lent = stream.lend(member, max, &cell.clock);
            let group = stream.groups.get(member.options.group());
            if let Some(group) = group {
                self.unfinished = group.unfinished();
            }
            (lent, group.and_then(|group| group.next_due()))
        })
    }

    /// Makes a delivery, or a dead letter of bytes that are no event.
    fn deliver(&self, lent: Lent) -> Option<Delivery> {
        let MemorySettler { cell, member } = &*self.settler;
        match lent.entry.decode(member.options.encoding()) {
            Ok(event) => Some(Delivery::new(DeliveryParts {
                event,
                receipt: lent.receipt,
                stream: Arc::clone(&cell.name),
                published_at: Some(lent.entry.published_at),
                settler: Arc::clone(&self.settler) as Arc<dyn Settler>,
            })),
            Err(error) => {
                let position = position(&lent.receipt.message_id)?;
                let detail = Some(in_words(&error));
                cell.change(|stream| {
                    stream.bury(member, position, DeadLetterReason::Undecodable, detail, &cell.clock);
                });
                None
            }
        }
    }
}

#[async_trait]
impl EventConsumer for MemoryConsumer {
    fn capabilities(&self) -> Capabilities {
        self.settler.cell.config.capabilities()
    }

    async fn receive(&mut self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        // There may be nothing to wait for; a caller that receives in a loop must still let other tasks run.
        tokio::task::coop::consume_budget().await;
        if self.closed {
            return Err(Error::closed("receive"));
        }
        let end = deadline(wait);
        loop {
            let cell = Arc::clone(&self.settler.cell);
            let (changed, alarm) = (cell.changed(), cell.clock.alarm());
            let (deliveries, next_due) = self.take(max);
            if !deliveries.is_empty() || Instant::now() >= end {
                return Ok(deliveries);
            }
            // No delivery is held across this point, so dropping the future here loses nothing.
            tokio::select! {
                () = changed => {}
                () = alarm.reached(next_due) => {}
                () = tokio::time::sleep_until(end) => {}
            }
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.closed = true;
        Ok(())
    }
}

/// An error with its causes, as a dead letter keeps it.
fn in_words(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}
