//! Other crates on the same server with the same events, where their program was built.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use test_servers::RedisServer;

use crate::options::Options;
use crate::stats::spread;
use crate::table::{Asked, Row, Table, per_second};

/// The program prints a line for each figure: peer, what it did, and events a second of each round, separated by tabs.
pub(crate) fn measure(server: &RedisServer, options: &Options, table: &mut Table) -> Result<()> {
    let Some(program) = &options.peers else { return Ok(()) };
    if !options.wants("peer") {
        return Ok(());
    }
    let count = if options.quick { 20_000 } else { 100_000 };
    let output = Command::new(program).args([server.url(), &count.to_string()]).output();
    let output = output.context("cannot start the peers' program")?;
    ensure!(output.status.success(), "peers: {}", String::from_utf8_lossy(&output.stderr));
    for line in String::from_utf8(output.stdout)?.lines() {
        let mut parts = line.split('\t');
        let (peer, what) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let rates = parts.map(str::parse).collect::<Result<Vec<f64>, _>>().context("peers: no rate")?;
        let seen = spread(&rates);
        table.push(Row {
            measure: format!("peer: {peer}, {what}"),
            ceiling: String::new(),
            ours: per_second(seen.median),
            asked: Asked::Nothing,
            seen: spread(&rates.iter().map(|rate| rate / 1e3).collect::<Vec<_>>()),
            unit: " k/s",
        });
    }
    Ok(())
}
