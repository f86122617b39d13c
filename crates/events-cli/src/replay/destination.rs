//! Where replayed events go.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use events_core::{EventPublisher, MessageId, Record};
use events_factory::{ConfigLoader, create_event_publisher};
use events_terminal::{Exit, Format, Line, Output, Shutdown};

use super::Replay;
use crate::admin::Stream;
use crate::publish::{Batch, Origin, Tally};
use crate::retry::within;

/// Where replayed events go, and how far they got.
#[derive(Debug)]
pub(super) struct Destination {
    kind: Kind,
    /// The last event that is dealt with.
    past: Option<MessageId>,
    complete: bool,
}

#[derive(Debug)]
enum Kind {
    Terminal { format: Format, output: Output },
    Publisher { publisher: Arc<dyn EventPublisher>, tally: Tally, timeout: Duration },
}

impl Destination {
    pub(super) async fn open(flags: &Replay, stream: &Stream, shutdown: &mut Shutdown) -> Result<Self> {
        let target = &flags.target;
        let kind = if target.to_url.is_none() && target.to_config.is_none() {
            if target.to_stream_key.is_some() || target.to_encoding.is_some() {
                bail!(events_core::Error::new(
                    events_core::ErrorKind::InvalidConfig,
                    "replay",
                    "--to-stream-key and --to-encoding need --to-url or --to-config"
                ));
            }
            Kind::Terminal { format: flags.format, output: Output::new() }
        } else {
            let mut loader = ConfigLoader::new();
            match &target.to_config {
                Some(file) => loader = loader.with_file(file),
                None => loader = loader.with_override("stream_key", &stream.key, "--stream-key"),
            }
            if let Some(url) = &target.to_url {
                loader = loader.with_override("url", url.expose(), "--to-url");
            }
            if let Some(key) = &target.to_stream_key {
                loader = loader.with_override("stream_key", key, "--to-stream-key");
            }
            if let Some(encoding) = target.to_encoding {
                loader = loader.with_override("encoding", encoding.as_str(), "--to-encoding");
            }
            let config = loader.load()?.into_config();
            let publisher = within(target.timeout, shutdown, || create_event_publisher(&config)).await?;
            Kind::Publisher { publisher, tally: Tally::new(false), timeout: target.timeout }
        };
        Ok(Self { kind, past: None, complete: true })
    }

    pub(super) fn is_publisher(&self) -> bool {
        matches!(self.kind, Kind::Publisher { .. })
    }

    /// Takes the next events; `false` when there is no point in going on.
    pub(super) async fn take(&mut self, records: Vec<Record>, shutdown: &mut Shutdown) -> Result<bool> {
        match &mut self.kind {
            Kind::Terminal { format, output } => {
                for record in &records {
                    match &record.event {
                        Ok(event) => output.print(*format, &Line::of_history(event, &record.message_id)),
                        Err(error) => tracing::warn!("message {} is no event: {error}", record.message_id),
                    }
                }
                Ok(output.flush_to_reader().await?)
            }
            Kind::Publisher { publisher, tally, timeout } => {
                let mut batch = Batch::default();
                for record in records {
                    let origin = Origin::Message(record.message_id);
                    match record.event {
                        Ok(event) => batch.push(origin, event),
                        Err(error) => tally.failed(&origin, &error),
                    }
                }
                let go_on = batch.publish(&**publisher, *timeout, tally, shutdown).await?;
                self.complete &= go_on;
                Ok(go_on)
            }
        }
    }

    /// Everything up to this event is dealt with.
    pub(super) fn is_past(&mut self, id: Option<MessageId>) {
        self.past = id.or(self.past.take());
    }

    pub(super) async fn finish(self, was_interrupted: bool) -> Result<Exit> {
        let Kind::Publisher { publisher, mut tally, .. } = self.kind else { return Ok(Exit::Success) };
        let closed = publisher.close().await;
        if was_interrupted {
            tally.stopped_early();
        }
        if was_interrupted || !self.complete {
            match &self.past {
                Some(id) => tracing::warn!("ended early, with everything up to {id}: go on with --from {id}"),
                None => tracing::warn!("ended before the first event"),
            }
        }
        let exit = tally.finish().await?;
        closed?;
        Ok(exit)
    }
}
