//! Counts and times what is consumed, and tells health whether the broker answers.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use events_core::{Capabilities, ConsumerOptions, Delivery, EventConsumer, Result, Settler, async_trait};

use crate::Health;
use crate::settler::{MeasuredSettler, Meters};

/// A consumer that counts what `inner` is given from `stream` and what becomes of it, whatever backend it is of.
///
/// `options` are those it joined its group with. The recorder has to be installed before: what is counted goes to the one
/// that is there now. Dead letters are counted by [`observe_consumer`](crate::observe_consumer).
pub fn measure_consumer(
    inner: Box<dyn EventConsumer>,
    stream: &str,
    options: &ConsumerOptions,
    health: &Health,
) -> Box<dyn EventConsumer> {
    let meters = Meters::new(stream, options.group());
    Box::new(MeasuredConsumer { inner, meters: Arc::new(meters), settlers: None, health: health.clone() })
}

struct MeasuredConsumer {
    inner: Box<dyn EventConsumer>,
    meters: Arc<Meters>,
    /// The backend's settler, and the one in front of it: deliveries that shared one go on sharing one.
    settlers: Option<(Arc<dyn Settler>, Arc<dyn Settler>)>,
    health: Health,
}

impl fmt::Debug for MeasuredConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeasuredConsumer").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl MeasuredConsumer {
    fn measured(&mut self, delivery: Delivery) -> Delivery {
        self.meters.opened(delivery.message_id(), delivery.attempt());
        let (meters, settlers) = (&self.meters, &mut self.settlers);
        delivery.map_settler(|inner| match settlers {
            Some((known, measured)) if Arc::ptr_eq(known, &inner) => Arc::clone(measured),
            _ => {
                let (known, meters) = (Arc::clone(&inner), Arc::clone(meters));
                let measured: Arc<dyn Settler> = Arc::new(MeasuredSettler { inner, meters });
                *settlers = Some((known, Arc::clone(&measured)));
                measured
            }
        })
    }
}

#[async_trait]
impl EventConsumer for MeasuredConsumer {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn receive(&mut self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        let received = self.inner.receive(max, wait).await;
        self.health.consumer_asked(received.as_ref().err());
        Ok(received?.into_iter().map(|delivery| self.measured(delivery)).collect())
    }

    async fn close(&mut self) -> Result<()> {
        self.inner.close().await
    }
}
