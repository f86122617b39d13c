//! `events ensure`: makes what the broker must have, or says what is missing.

use anyhow::Result;
use events_core::Error;
use events_factory::{Ensure, EventsConfig, ensure_event_stream};
use events_terminal::{Exit, Output, Shutdown};

use crate::flags;

pub(crate) async fn run(flags: &flags::Ensure, mut shutdown: Shutdown) -> Result<Exit> {
    let config = config(flags)?;
    let how = if flags.dry_run { Ensure::Plan } else { Ensure::Apply };
    let steps = tokio::select! {
        biased;
        () = shutdown.requested() => {
            tracing::warn!("asked to end: not everything may be made; `events ensure` goes on from here");
            return Ok(Exit::Failure);
        }
        steps = ensure_event_stream(&config, how) => steps?,
    };
    let mut output = Output::new();
    output.buffer().extend_from_slice(report(&steps, how).as_bytes());
    output.flush_to_reader().await?;
    Ok(Exit::Success)
}

fn config(flags: &flags::Ensure) -> Result<EventsConfig, Error> {
    let mut loader = flags.connection.loader();
    if let Some(lease) = &flags.lease {
        loader = loader.with_override("lease", lease, "--lease");
    }
    if let Some(number) = flags.max_deliveries {
        loader = loader.with_override("max_deliveries", number.to_string(), "--max-deliveries");
    }
    Ok(loader.load()?.into_config())
}

fn report(steps: &[String], how: Ensure) -> String {
    if steps.is_empty() {
        return "nothing to do\n".to_owned();
    }
    let before = match how {
        Ensure::Plan => "would ",
        Ensure::Apply => "done: ",
    };
    steps.iter().map(|step| format!("{before}{step}\n")).collect()
}
