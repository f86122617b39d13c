//! `RedisSentinel`: sentinels that watch a server and promote its replica when that server is lost.

use std::fs;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::startup::{PORTS_TRIED, Startup, await_answer, await_condition};
use crate::{Port, RedisServer, Reply, RespConnection, ServerProcess, program};

/// How many sentinels watch; two of them must agree.
const SENTINELS: usize = 3;

/// A primary, its replica, and three sentinels of which two must agree: a failover takes about two seconds.
#[derive(Debug)]
pub struct RedisSentinel {
    sentinels: Vec<Sentinel>,
    servers: [RedisServer; 2],
}

#[derive(Debug)]
struct Sentinel {
    /// Declared before the directory, so that the process ends first.
    process: ServerProcess,
    port: Port,
    _directory: TempDir,
}

impl RedisSentinel {
    /// The name under which the sentinels know the primary.
    pub const SERVICE: &str = "events";

    /// Starts primary, replica and sentinels, and waits until these know all of them and the replica is in step.
    ///
    /// # Errors
    /// As [`RedisServer::start`], or when they do not find each other within a minute.
    pub fn start() -> Result<Self> {
        // By default a primary waits five seconds for further replicas before it sends its data.
        let primary = RedisServer::builder().with_arguments(["--repl-diskless-sync-delay", "0"]).start()?;
        let port = primary.port().to_string();
        // The other way round after a failover, so it gets the same.
        let follows = ["--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", &port];
        let replica = RedisServer::builder().with_arguments(follows).start()?;
        await_condition("the replica is not in step", || {
            let info = replica.command(&["INFO", "replication"])?;
            Ok(info.text().is_some_and(|text| text.contains("master_link_status:up")))
        })?;
        let sentinels = (0..SENTINELS).map(|_| Sentinel::start(&primary)).collect::<Result<_>>()?;
        let together = Self { sentinels, servers: [primary, replica] };
        await_condition("the sentinels do not know each other and the replica", || together.is_complete())?;
        Ok(together)
    }

    /// Where the sentinels are, as a client takes it.
    pub fn url(&self) -> String {
        let mut ports = self.sentinels.iter().map(|sentinel| sentinel.port.number());
        let first = ports.next().unwrap_or_default();
        let others: String = ports.map(|port| format!("&node=127.0.0.1:{port}")).collect();
        format!("redis-sentinel://127.0.0.1:{first}?sentinelServiceName={}{others}", Self::SERVICE)
    }

    /// The sentinels' own processes, to freeze or kill one.
    pub fn sentinels_mut(&mut self) -> impl Iterator<Item = &mut ServerProcess> {
        self.sentinels.iter_mut().map(|sentinel| &mut sentinel.process)
    }

    /// The server that was the primary at first.
    pub fn first_primary(&mut self) -> &mut RedisServer {
        &mut self.servers[0]
    }

    /// The server that was the replica at first.
    pub fn first_replica(&mut self) -> &mut RedisServer {
        &mut self.servers[1]
    }

    /// Has the sentinels make the replica the primary though nothing is wrong.
    ///
    /// # Errors
    /// When the sentinel does not answer or refuses.
    pub fn fail_over(&self) -> Result<()> {
        self.ask(&["SENTINEL", "FAILOVER", Self::SERVICE]).map(drop)
    }

    /// The port of the server that the sentinels call the primary now.
    ///
    /// # Errors
    /// When no sentinel answers.
    pub fn primary_port(&self) -> Result<u16> {
        let answer = self.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::SERVICE])?;
        let port = answer.array().and_then(|address| address.get(1)?.text());
        port.context("the sentinel knows no primary")?.parse().context("the sentinel's answer holds no port")
    }

    /// The answer of the first sentinel that gives one.
    fn ask(&self, words: &[&str]) -> Result<Reply> {
        let mut outcome = Err(anyhow::anyhow!("there is no sentinel"));
        for sentinel in &self.sentinels {
            outcome = sentinel.command(words);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    fn is_complete(&self) -> Result<bool> {
        for sentinel in &self.sentinels {
            let replicas = sentinel.command(&["SENTINEL", "REPLICAS", Self::SERVICE])?;
            let others = sentinel.command(&["SENTINEL", "SENTINELS", Self::SERVICE])?;
            let count = |list: &Reply| list.array().map_or(0, <[_]>::len);
            if count(&replicas) != 1 || count(&others) != SENTINELS - 1 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Sentinel {
    fn start(primary: &RedisServer) -> Result<Self> {
        let program = program::redis_server()?;
        let directory = program::server_directory()?;
        for _ in 0..PORTS_TRIED {
            let port = Port::reserve()?;
            // A sentinel writes what it learns into its configuration, so it takes a file and no arguments.
            let file = directory.path().join("sentinel.conf");
            fs::write(&file, configuration(&port, primary))
                .context("cannot write the sentinel's configuration")?;
            let arguments = ["sentinel.conf", "--sentinel"];
            let mut process = ServerProcess::spawn(&program, &arguments, directory.path())?;
            if await_answer(&mut process, port.number(), None)? == Startup::Answers {
                return Ok(Self { process, port, _directory: directory });
            }
        }
        bail!("{PORTS_TRIED} ports in a row were taken by other programs")
    }

    fn command(&self, words: &[&str]) -> Result<Reply> {
        RespConnection::connect(self.port.number(), None)?.command(words)
    }
}

fn configuration(port: &Port, primary: &RedisServer) -> String {
    let name = RedisSentinel::SERVICE;
    format!(
        "port {}\nbind 127.0.0.1\ndir .\nsentinel monitor {name} 127.0.0.1 {} 2\n\
         sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 5000\n",
        port.number(),
        primary.port(),
    )
}
