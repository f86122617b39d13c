//! Counts and times what is published.

use std::sync::Arc;
use std::time::Instant;

use events_core::{
    Capabilities, Error, ErrorKind, Event, EventPublisher, PublishReport, Result, async_trait,
};
use metrics::{Counter, Histogram, counter, histogram};

use crate::Health;
use crate::metric::{PUBLISH_DURATION, PUBLISH_FAILED, PUBLISHED};
use crate::outcome::kind;

/// A publisher that counts what `inner` publishes to `stream`, whatever backend it is of, and tells `health` whether the
/// broker answers.
///
/// The recorder has to be installed before: what is counted goes to the one that is there now.
pub fn measure_publisher(
    inner: Arc<dyn EventPublisher>,
    stream: &str,
    health: &Health,
) -> Arc<dyn EventPublisher> {
    let label = stream.to_owned();
    Arc::new(MeasuredPublisher {
        inner,
        published: counter!(PUBLISHED, "stream" => label.clone()),
        duration: histogram!(PUBLISH_DURATION, "stream" => label.clone()),
        stream: label,
        health: health.clone(),
    })
}

struct MeasuredPublisher {
    inner: Arc<dyn EventPublisher>,
    stream: String,
    published: Counter,
    duration: Histogram,
    health: Health,
}

impl std::fmt::Debug for MeasuredPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeasuredPublisher").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl EventPublisher for MeasuredPublisher {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn publish_batch(&self, events: &[Event]) -> Result<PublishReport> {
        let start = Instant::now();
        let published = self.inner.publish_batch(events).await;
        self.duration.record(start.elapsed());
        let failed = |error: &Error, events: u64| {
            let kind = kind(error.kind());
            counter!(PUBLISH_FAILED, "stream" => self.stream.clone(), "kind" => kind).increment(events);
        };
        match &published {
            Ok(report) => {
                self.health
                    .publisher_asked(report.failed().map(|(_, error)| error).find(|error| is_away(error)));
                let accepted = report.outcomes().iter().filter(|outcome| outcome.is_ok()).count();
                self.published.increment(accepted as u64);
                report.failed().for_each(|(_, error)| failed(error, 1));
            }
            Err(error) => {
                self.health.publisher_asked(Some(error).filter(|error| is_away(error)));
                failed(error, events.len() as u64);
            }
        }
        published
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

/// Whether it is the broker that cannot be reached or refuses, and not the event.
fn is_away(error: &Error) -> bool {
    use ErrorKind::{Backend, Full, NotFound, PermissionDenied, Timeout, Unavailable};
    matches!(error.kind(), Unavailable | Timeout | PermissionDenied | NotFound | Full | Backend)
}
