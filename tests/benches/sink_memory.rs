//! How much memory the sink needs to drain a million Redis events to a file, and how fast it does it.
//!
//! `cargo build --release --bins && cargo bench -p events-system-tests --bench sink_memory [-- <events>]` prints the peak of its
//! resident memory as the kernel counts it, and the rate of the whole process.

use std::fs::{self, File};
use std::io::{Write, stdout};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use events_system_tests::{events, sink};
use test_servers::RedisServer;

const STREAM: &str = "bench:events";
const GROUP: &str = "bench";

/// What the sink must stay under, in KiB.
const LIMIT_KIB: u64 = 64 * 1024;

fn main() -> Result<()> {
    let count: usize = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let redis = RedisServer::start()?;
    publish(redis.url(), count)?;

    let directory = tempfile::tempdir()?;
    let printed = directory.path().join("events.jsonl");
    let started = Instant::now();
    let mut command = sink(redis.url(), STREAM, GROUP)?;
    command.stdin(Stdio::null()).stdout(File::create(&printed)?);
    let mut draining = command.spawn().context("cannot start the sink")?;
    wait_until_done(&redis, &mut draining)?;
    let seconds = started.elapsed().as_secs_f64();
    let peak = peak_kib(&draining)?;
    draining.kill()?;
    draining.wait()?;

    let lines = fs::read(&printed)?.iter().filter(|byte| **byte == b'\n').count();
    if lines < count {
        bail!("only {lines} of {count} events were printed");
    }
    writeln!(
        stdout(),
        "drained {count} events in {seconds:.1} s ({:.0} events/s); peak resident memory {:.1} MiB, limit {} MiB",
        count as f64 / seconds,
        peak as f64 / 1024.0,
        LIMIT_KIB / 1024
    )?;
    if peak > LIMIT_KIB {
        bail!("the sink needed more memory than its limit");
    }
    Ok(())
}

/// Fills the stream through `events publish`.
fn publish(url: &str, count: usize) -> Result<()> {
    let mut command: Command = events("publish", url, STREAM)?;
    let mut publisher = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut input = std::io::BufWriter::new(publisher.stdin.take().context("no standard input")?);
    for n in 0..count {
        writeln!(
            input,
            "{{\"event_type\":\"slack-usergroups.update_users\",\"source\":\"qontract-api\",\"payload\":{{\"n\":{n},\
             \"workspace\":\"coreos\",\"usergroup\":\"team-a\",\"users\":[\"alice\",\"bob\"]}}}}"
        )?;
    }
    drop(input);
    if !publisher.wait()?.success() {
        bail!("publishing failed");
    }
    Ok(())
}

/// Until the group has had everything and holds nothing.
fn wait_until_done(redis: &RedisServer, draining: &mut Child) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(600);
    loop {
        // Before the sink has made its group this answers with an error.
        if let Ok(groups) = redis.command(&["XINFO", "GROUPS", STREAM]) {
            let group = groups.array().and_then(|groups| groups.first()).and_then(|group| group.array());
            let number = |key: &str| {
                let fields = group?;
                let at = fields.iter().position(|field| field.text() == Some(key))?;
                fields.get(at + 1)?.integer()
            };
            if number("lag") == Some(0) && number("pending") == Some(0) {
                return Ok(());
            }
        }
        if let Some(status) = draining.try_wait()? {
            bail!("the sink ended by itself: {status}");
        }
        if Instant::now() > deadline {
            bail!("the sink is not done after ten minutes");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The most memory the process has had resident at once.
fn peak_kib(process: &Child) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in /proc")?;
    line.trim().trim_end_matches(" kB").parse().context("VmHWM is no number")
}
