//! Waiting until the process that was started, and no other, answers on its port.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{RespConnection, ServerProcess};

/// How long a server may take until it answers; loading a large append-only file takes a while.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// How many ports are tried. A second one is needed only when a stranger takes the first between look and use.
pub(crate) const PORTS_TRIED: usize = 5;

/// What became of a server that was started.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Startup {
    Answers,
    PortTaken,
}

/// Waits for the first answer of `process` on `port`, or for its end.
pub(crate) fn await_answer(
    process: &mut ServerProcess,
    port: u16,
    password: Option<&str>,
) -> Result<Startup> {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        if let Some(status) = process.exit_status()? {
            let log = process.log_tail();
            if log.contains("Address already in use") {
                return Ok(Startup::PortTaken);
            }
            bail!("the Redis server ended at once ({status}):\n{log}");
        }
        let last = match answering_pid(port, password) {
            Ok(pid) if pid == process.pid() => return Ok(Startup::Answers),
            Ok(pid) => format!("process {pid} answers instead of {}", process.pid()),
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() > deadline {
            bail!("the Redis server is not ready after {START_DEADLINE:?}: {last}\n{}", process.log_tail());
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// The id of the server process behind a port, once that has loaded its data.
fn answering_pid(port: u16, password: Option<&str>) -> Result<u32> {
    let mut connection = RespConnection::connect(port, password)?;
    // A server that still loads answers INFO but refuses PING.
    connection.command(&["PING"])?;
    let info = connection.command(&["INFO", "server"])?;
    let line = info.text().and_then(|text| text.lines().find_map(|line| line.strip_prefix("process_id:")));
    line.context("INFO has no process_id")?.trim().parse().context("process_id is no number")
}

/// Asks until `holds` says yes, or fails with `what` at the deadline.
pub(crate) fn await_condition(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + START_DEADLINE;
    while !holds()? {
        if Instant::now() > deadline {
            bail!("{what} after {START_DEADLINE:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
