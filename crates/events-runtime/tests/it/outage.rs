//! A publisher whose broker can be taken away: what is decided by the test is when, not how a server behaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use events_core::{
    Capabilities, Error, ErrorKind, Event, EventPublisher, PublishReport, Result, async_trait,
};
use tokio::sync::watch;

/// Passes everything on while the broker is up.
#[derive(Debug)]
pub(crate) struct Outage {
    inner: Arc<dyn EventPublisher>,
    up: watch::Sender<bool>,
    /// While the broker is away: whether calls hang, rather than fail at once.
    hangs: AtomicBool,
    pub(crate) calls: AtomicU64,
}

impl Outage {
    pub(crate) fn new(inner: Arc<dyn EventPublisher>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            up: watch::Sender::new(true),
            hangs: AtomicBool::new(false),
            calls: AtomicU64::new(0),
        })
    }

    pub(crate) fn fail(&self) {
        self.hangs.store(false, Ordering::SeqCst);
        self.up.send_replace(false);
    }

    pub(crate) fn hang(&self) {
        self.hangs.store(true, Ordering::SeqCst);
        self.up.send_replace(false);
    }

    pub(crate) fn end(&self) {
        self.up.send_replace(true);
    }
}

#[async_trait]
impl EventPublisher for Outage {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn publish_batch(&self, events: &[Event]) -> Result<PublishReport> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if !*self.up.borrow() {
            if !self.hangs.load(Ordering::SeqCst) {
                let refused = || Err(Error::new(ErrorKind::Unavailable, "publish", "the broker is away"));
                return Ok(PublishReport::new(events.iter().map(|_| refused()).collect()));
            }
            self.up.subscribe().wait_for(|up| *up).await.ok();
        }
        self.inner.publish_batch(events).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
