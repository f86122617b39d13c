//! Whether an event costs more where much is pending, or much is waiting.

use std::sync::Arc;

use anyhow::Result;
use events_core::Event;
use tokio::runtime::Runtime;

use crate::brokers::{Stream, consume, leave_pending, publish};
use crate::options::Options;
use crate::sample;
use crate::stats::{Spread, spread};
use crate::table::{Asked, Row, Table};

/// How many entries are pending while others are consumed.
const PENDING: [usize; 3] = [10, 10_000, 1_000_000];

/// How many events one turn consumes: few, in many turns, since the slowest of several medians is mostly noise otherwise.
const TURN: usize = 25 * 1024;

/// How many events `receive` may return.
const MOST: usize = 512;

/// Times of the smallest load and of larger ones, taken in turns; `fill` makes a stream of so many events.
pub(crate) fn measure(
    broker: &str,
    url: &str,
    runtime: &Runtime,
    options: &Options,
    fill: impl Fn(&Stream, usize) -> Result<()>,
    table: &mut Table,
) -> Result<()> {
    let measure = format!("{broker}, time per event");
    if !options.wants(&measure) {
        return Ok(());
    }
    let rounds = options.rounds() * 3;
    let largest = *PENDING.last().unwrap_or(&0);
    let pending = Stream { url: url.to_owned(), key: "bench:pending".to_owned() };
    let turns = rounds * TURN;
    // Each load has a group of its own, of which one consumer holds what is pending while another goes on.
    fill(&pending, largest + turns)?;
    let mut loads = Vec::new();
    for count in PENDING {
        let (stream, group) = (pending.clone(), format!("pending-{count}"));
        loads.push(runtime.block_on(runtime.spawn(async move {
            leave_pending(stream.consumer(&group).await?.as_mut(), count).await?;
            anyhow::Ok((format!("{count} pending"), stream, group))
        }))??);
    }
    let long = Stream { url: url.to_owned(), key: "bench:long".to_owned() };
    fill(&long, options.ten_million())?;
    loads.push((format!("{} M waiting", options.ten_million() / 1_000_000), long, "bench".to_owned()));

    let mut times = vec![Vec::new(); loads.len()];
    for round in 0..rounds {
        // Each goes first as often as last.
        let mut turns: Vec<_> = loads.iter().zip(&mut times).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for ((_, stream, group), times) in turns {
            let (stream, group) = (stream.clone(), group.clone());
            let taken = runtime.block_on(runtime.spawn(async move {
                let mut consumer = stream.consumer(&group).await?;
                let taken = consume(consumer.as_mut(), MOST, TURN).await?;
                consumer.close().await?;
                anyhow::Ok(taken)
            }))??;
            times.push(taken.as_secs_f64() * 1e6 / TURN as f64);
        }
    }
    let medians: Vec<f64> = times.iter().map(|times| spread(times).median).collect();
    let smallest = spread(&medians).lowest;
    let seen = Spread { median: spread(&medians).highest / smallest, lowest: 1.0, highest: f64::NAN };
    let names: Vec<&str> = loads.iter().map(|(load, _, _)| load.as_str()).collect();
    let times: Vec<String> = medians.iter().map(|median| format!("{median:.1}")).collect();
    table.push(Row {
        measure: format!("{measure}: {}", names.join(", ")),
        ceiling: format!("the smallest {smallest:.1} µs"),
        ours: format!("{} µs", times.join(" / ")),
        asked: Asked::AtMost(1.3),
        seen: Spread { highest: seen.median, ..seen },
        unit: "",
    });
    Ok(())
}

/// Makes a stream of so many events through the public traits.
pub(crate) fn fill(stream: &Stream, count: usize, runtime: &Runtime) -> Result<()> {
    let batch: Vec<Event> = sample::batch()?.into_iter().cycle().take(1_024).collect();
    let (stream, batch, count) = (stream.clone(), Arc::from(batch), count.next_multiple_of(1_024));
    runtime.block_on(runtime.spawn(async move {
        let publisher = stream.into_publisher().await?;
        publish(Arc::clone(&publisher), batch, count).await?;
        Ok(publisher.close().await?)
    }))?
}
