//! Settles the deliveries of one consumer.

use std::sync::Arc;
use std::time::Duration;

use events_core::{Receipt, Result, Settlement, Settler, async_trait};

use crate::cell::Cell;
use crate::stream::Member;

#[derive(Debug)]
pub(crate) struct MemorySettler {
    pub(crate) cell: Arc<Cell>,
    pub(crate) member: Member,
}

#[async_trait]
impl Settler for MemorySettler {
    async fn settle(&self, receipts: &[Receipt], settlement: &Settlement) -> Vec<Result<()>> {
        self.cell.change(|stream| {
            let settle = |receipt| stream.settle(&self.member, receipt, settlement, &self.cell.clock);
            receipts.iter().map(settle).collect()
        })
    }

    async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<()>> {
        let now = self.cell.clock.now();
        self.cell.change(|stream| {
            receipts.iter().map(|receipt| stream.extend(&self.member, receipt, lease, now)).collect()
        })
    }

    fn abandon(&self, _: &Receipt) {
        // Nothing is counted as in flight: the event comes back when its lease ends.
    }
}
