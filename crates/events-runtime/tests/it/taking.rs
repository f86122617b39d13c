//! How much a worker asks for at a time, where it is the broker's round trips that cost.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use events_core::{
    Capabilities, Delivery, DeliveryParts, EventConsumer, Receipt, Result, Settlement, Settler, async_trait,
};
use events_runtime::{Context, Failure, Worker};
use tokio::time::sleep;

use crate::support::{Log, config, event};

/// How long the broker of this test takes to acknowledge; it gives events in two thirds of that.
const ROUND_TRIP: Duration = Duration::from_millis(10);

/// Has as many events as anybody asks for.
#[derive(Debug)]
struct Plenty {
    asked: Log<usize>,
    settler: Arc<dyn Settler>,
}

#[derive(Debug)]
struct Slow;

#[async_trait]
impl Settler for Slow {
    async fn settle(&self, receipts: &[Receipt], _: &Settlement) -> Vec<Result<()>> {
        sleep(ROUND_TRIP).await;
        receipts.iter().map(|_| Ok(())).collect()
    }

    async fn extend(&self, receipts: &[Receipt], _: Duration) -> Vec<Result<()>> {
        receipts.iter().map(|_| Ok(())).collect()
    }

    fn abandon(&self, _: &Receipt) {}
}

#[async_trait]
impl EventConsumer for Plenty {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn receive(&mut self, max: NonZeroUsize, _: Duration) -> Result<Vec<Delivery>> {
        self.asked.push(max.get());
        sleep(ROUND_TRIP * 2 / 3).await;
        let delivery = |n: usize| {
            Delivery::new(DeliveryParts {
                event: event("test.plenty", n as u64),
                receipt: Receipt { message_id: n.to_string().as_str().into(), attempt: 1, handle: None },
                stream: "s".into(),
                published_at: None,
                settler: Arc::clone(&self.settler),
            })
        };
        Ok((0..max.get()).map(delivery).collect())
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Half as much, twice as often, would cost twice the round trips.
#[tokio::test(start_paused = true)]
async fn handlers_that_end_at_once_get_all_a_worker_may_hold_at_a_time() {
    let asked = Log::new();
    let consumer = Plenty { asked: asked.clone(), settler: Arc::new(Slow) };
    let mut config = config();
    config.concurrency = NonZeroUsize::new(64).unwrap();
    let worker = Worker::new(Box::new(consumer), config).unwrap();
    let handler = |_: Context| async { Ok::<(), Failure>(()) };
    let report = worker.on("**", handler).with_limit(10_000).run().await.unwrap();
    assert_eq!(report.acked, 10_000);
    // Ten thousand are 79 times 128. It begins with one event and doubles that, and on a busy machine a handler may not end
    // quite at once; by halves it would have to ask 157 times.
    assert!(asked.len() < 110, "{:?}", asked.entries());
}
