//! The log sink as a whole process: how fast it drains a backlog to a file, and in how much memory.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{BACKLOG, Bench};
use crate::stats::{Pairs, rate, spread};
use crate::table::{Asked, Row, Table};

const GROUP: &str = "bench-sink";

/// How often the sink's memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What the sink did.
struct Drained {
    taken: Duration,
    /// The most memory that was resident in the first tenth of the events, and in all.
    early_mib: f64,
    peak_mib: f64,
}

pub(super) fn measure(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    const SPEED: &str = "event-log-sink --format json --drain to a file";
    const MEMORY: &str = "event-log-sink, resident memory while draining";
    let Some(sink) = &bench.options.sink else { return Ok(()) };
    if bench.options.wants(SPEED) {
        // Long enough that starting and ending are not most of it.
        let count = bench.options.events() * 5;
        bench.raw()?.fill(BACKLOG, count)?;
        let pairs = Pairs::measure(
            bench.options.rounds().div_ceil(2),
            || {
                let mut raw = bench.raw()?;
                let taken = raw.consume(BACKLOG, GROUP, count)?;
                raw.destroy_group(BACKLOG, GROUP)?;
                Ok(rate(count, taken))
            },
            || Ok(rate(count, drain(bench, sink, count)?.taken)),
        )?;
        table.push(Row::of_rates(SPEED, "raw socket", &pairs, Asked::AtLeast(0.50)));
    }
    if bench.options.wants(MEMORY) {
        let count = bench.options.ten_million();
        bench.raw()?.fill(BACKLOG, count)?;
        let drained = drain(bench, sink, count)?;
        table.push(Row {
            measure: format!("{MEMORY} {} M events", count / 1_000_000),
            ceiling: format!("its first tenth {:.1} MiB", drained.early_mib),
            ours: format!("{:.1} MiB", drained.peak_mib),
            asked: Asked::AtMost(48.0),
            seen: spread(&[drained.peak_mib]),
            unit: " MiB",
        });
    }
    bench.raw()?.delete(BACKLOG)
}

/// Drains the backlog to a file, and checks that every event is in there.
fn drain(bench: &Bench<'_>, sink: &Path, count: usize) -> Result<Drained> {
    let directory = tempfile::tempdir()?;
    let printed = directory.path().join("events.jsonl");
    let started = Instant::now();
    let mut sink = Command::new(sink)
        .args(["--url", bench.server.url(), "--stream-key", BACKLOG, "--consumer-group", GROUP])
        .args(["--format", "json", "--drain"])
        .stdin(Stdio::null())
        .stdout(File::create(&printed)?)
        .spawn()
        .context("cannot start the sink")?;
    let whole = count as u64 * (crate::sample::BYTES as u64 + 1);
    let (mut early, mut peak) = (0.0, 0.0);
    let status = loop {
        let memory = peak_mib(&sink).unwrap_or(peak);
        peak = memory;
        if fs::metadata(&printed)?.len() < whole / 10 {
            early = memory;
        }
        if let Some(status) = sink.try_wait()? {
            break status;
        }
        std::thread::sleep(LOOK);
    };
    let taken = started.elapsed();
    ensure!(status.success(), "the sink ended with {status}");
    let length = fs::metadata(&printed)?.len();
    ensure!(length >= whole, "{length} bytes were printed of {whole}");
    bench.raw()?.destroy_group(BACKLOG, GROUP)?;
    Ok(Drained { taken, early_mib: early, peak_mib: peak })
}

/// The most memory the process has had resident at once.
fn peak_mib(process: &Child) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}
