//! Measures on Redis, beside raw sockets that do the least a client can do.

mod consume;
mod fred;
mod latency;
mod publish;
mod raw;
mod sink;

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use anyhow::Result;
use test_servers::RedisServer;
use tokio::runtime::{Builder, Runtime};

use crate::brokers::Stream;
use crate::options::Options;
use crate::table::Table;
use crate::{load, peers};
use raw::Raw;

/// What every measure needs: a server of the run's own, without persistence, and a runtime.
struct Bench<'o> {
    options: &'o Options,
    runtime: Runtime,
    server: RedisServer,
}

/// The stream that is read again and again, each time by another group.
const BACKLOG: &str = "bench:backlog";

pub(crate) fn measure(options: &Options, table: &mut Table) -> Result<()> {
    let bench = Bench { options, runtime: beside_a_server()?, server: RedisServer::start()? };
    publish::batches(&bench, table)?;
    publish::scripts(&bench, table)?;
    publish::meeting(&bench, table)?;
    publish::alone(&bench, table)?;
    consume::backlog(&bench, table)?;
    consume::together(&bench, table)?;
    latency::measure(&bench, table)?;
    peers::measure(&bench.server, options, table)?;
    bench.raw()?.delete(BACKLOG)?;
    sink::measure(&bench, table)?;
    let fill = |stream: &Stream, count| Raw::connect(bench.server.port())?.fill(&stream.key, count);
    load::measure("Redis", &bench.stream("load").url, &bench.runtime, options, fill, table)
}

/// A runtime that leaves the server a processor. With a thread for each processor it is measured how the system shares them
/// among one thread too many: whoever waits for the other to be preempted waits for milliseconds.
fn beside_a_server() -> Result<Runtime> {
    let processors = available_parallelism().map_or(1, NonZeroUsize::get);
    Ok(Builder::new_multi_thread()
        .worker_threads(processors.saturating_sub(1).max(1))
        .enable_all()
        .build()?)
}

impl Bench<'_> {
    fn stream(&self, key: &str) -> Stream {
        Stream { url: self.server.url().to_owned(), key: key.to_owned() }
    }

    fn raw(&self) -> Result<Raw> {
        Raw::connect(self.server.port())
    }

    /// Runs a measure as one task of the runtime, as a service would.
    fn run<T: Send + 'static>(&self, task: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        self.runtime.block_on(self.runtime.spawn(task))?
    }

    /// The stream of the measures that consume, filled when the first of them asks for it.
    fn backlog(&self) -> Result<Stream> {
        let stream = self.stream(BACKLOG);
        let mut raw = self.raw()?;
        let length = self.options.events();
        if raw.length(BACKLOG)? < length {
            raw.fill(BACKLOG, length)?;
        }
        Ok(stream)
    }
}
