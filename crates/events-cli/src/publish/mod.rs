//! `events publish`: one event given by flags, or many from standard input.

mod batch;
mod input;
mod parse;
mod tally;

use std::io::{self, IsTerminal};
use std::sync::Arc;

use anyhow::{Context, Result};
use events_core::EventPublisher;
use events_factory::create_event_publisher;
use events_terminal::{Exit, Shutdown};

use crate::flags::Publish;
pub(crate) use crate::publish::batch::Batch;
use crate::publish::input::Input;
pub(crate) use crate::publish::tally::{Origin, Tally};
use crate::retry::within;

/// How many events are published together, at most.
const BATCH: usize = 256;

pub(crate) async fn run(flags: Box<Publish>, mut shutdown: Shutdown) -> Result<Exit> {
    let mut loader = flags.connection.loader();
    if let Some(encoding) = flags.encoding {
        loader = loader.with_override("encoding", encoding.as_str(), "--encoding");
    }
    let config = loader.load()?.into_config();
    let given = match parse::from_flags(&flags.event, flags.foreign) {
        Ok(given) => given,
        Err(error) => {
            // What cannot be built from flags is a mistake on the command line.
            tracing::error!("{:#}", anyhow::Error::new(error));
            return Ok(Exit::Usage);
        }
    };
    if !config.enabled {
        tracing::warn!("events are disabled (`enabled: false`): nothing is published");
        return Ok(Exit::Success);
    }
    let publisher = within(flags.timeout, &mut shutdown, || create_event_publisher(&config)).await?;
    let mut tally = Tally::new(flags.ids);
    let outcome = match given {
        Some(event) => {
            let mut batch = Batch::default();
            batch.push(Origin::Flags, event);
            let published = batch.publish(&*publisher, flags.timeout, &mut tally, &mut shutdown).await;
            published.map(drop).map_err(Into::into)
        }
        None => publish_lines(&publisher, &flags, &mut tally, &mut shutdown).await,
    };
    let closed = publisher.close().await;
    // What was published is said first, whatever went wrong after it.
    let exit = tally.finish().await?;
    outcome?;
    closed?;
    Ok(exit)
}

/// Publishes what comes on standard input as it comes: a batch is what has come while the one before was on its way.
async fn publish_lines(
    publisher: &Arc<dyn EventPublisher>,
    flags: &Publish,
    tally: &mut Tally,
    shutdown: &mut Shutdown,
) -> Result<()> {
    if io::stdin().is_terminal() {
        tracing::info!(
            "type events, one JSON object a line; Ctrl-D ends, and --help shows what they look like"
        );
    }
    let mut input = Input::standard();
    loop {
        let lines = tokio::select! {
            biased;
            () = shutdown.requested() => {
                tracing::warn!("asked to end: what was not read from standard input is not published");
                tally.stopped_early();
                return Ok(());
            }
            lines = input.next(BATCH) => lines,
        };
        if lines.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        for (number, line) in lines {
            match parse::line(&line.context("cannot read standard input")?, flags.foreign) {
                Ok(Some(event)) => batch.push(Origin::Line(number), event),
                Ok(None) => {}
                Err(error) => tally.failed(&Origin::Line(number), &error),
            }
        }
        let go_on = batch.publish(&**publisher, flags.timeout, tally, shutdown).await?;
        tally.flush().await?;
        if !go_on {
            return Ok(());
        }
    }
}
