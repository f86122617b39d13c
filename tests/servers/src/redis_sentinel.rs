//! `RedisSentinel`: a sentinel that watches a server and promotes its replica when that server is lost.

use std::fs;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::startup::{PORTS_TRIED, Startup, await_answer, await_condition};
use crate::{Port, RedisServer, RespConnection, ServerProcess, program};

/// A primary, its replica, and one sentinel with a quorum of one: a failover takes about a second.
#[derive(Debug)]
pub struct RedisSentinel {
    process: ServerProcess,
    port: Port,
    servers: [RedisServer; 2],
    _directory: TempDir,
}

impl RedisSentinel {
    /// The name under which the sentinel knows the primary.
    pub const SERVICE: &str = "events";

    /// Starts primary, replica and sentinel, and waits until the sentinel knows both and the replica is in step.
    ///
    /// # Errors
    /// As [`RedisServer::start`], or when they do not find each other within a minute.
    pub fn start() -> Result<Self> {
        // By default a primary waits five seconds for further replicas before it sends its data.
        let primary = RedisServer::builder().with_arguments(["--repl-diskless-sync-delay", "0"]).start()?;
        let port = primary.port().to_string();
        let replica = RedisServer::builder().with_arguments(["--replicaof", "127.0.0.1", &port]).start()?;
        await_condition("the replica is not in step", || {
            let info = replica.command(&["INFO", "replication"])?;
            Ok(info.text().is_some_and(|text| text.contains("master_link_status:up")))
        })?;
        let program = program::redis_server()?;
        let directory = program::server_directory()?;
        for _ in 0..PORTS_TRIED {
            let port = Port::reserve()?;
            // A sentinel writes what it learns into its configuration, so it takes a file and no arguments.
            let file = directory.path().join("sentinel.conf");
            fs::write(&file, configuration(&port, &primary))
                .context("cannot write the sentinel's configuration")?;
            let arguments = ["sentinel.conf", "--sentinel"];
            let mut process = ServerProcess::spawn(&program, &arguments, directory.path())?;
            if await_answer(&mut process, port.number(), None)? == Startup::Answers {
                let sentinel = Self { process, port, servers: [primary, replica], _directory: directory };
                await_condition("the sentinel does not know the replica", || sentinel.knows_the_replica())?;
                return Ok(sentinel);
            }
        }
        bail!("{PORTS_TRIED} ports in a row were taken by other programs")
    }

    /// The sentinel's port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The sentinel's own process, to freeze or kill it.
    pub fn process_mut(&mut self) -> &mut ServerProcess {
        &mut self.process
    }

    /// The server that was the primary at first.
    pub fn first_primary(&mut self) -> &mut RedisServer {
        &mut self.servers[0]
    }

    /// The server that was the replica at first.
    pub fn first_replica(&mut self) -> &mut RedisServer {
        &mut self.servers[1]
    }

    /// The port of the server that the sentinel calls the primary now.
    ///
    /// # Errors
    /// When the sentinel does not answer.
    pub fn primary_port(&self) -> Result<u16> {
        let mut sentinel = RespConnection::connect(self.port(), None)?;
        let answer = sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::SERVICE])?;
        let port = answer.array().and_then(|address| address.get(1)?.text());
        port.context("the sentinel knows no primary")?.parse().context("the sentinel's answer holds no port")
    }

    fn knows_the_replica(&self) -> Result<bool> {
        let mut sentinel = RespConnection::connect(self.port(), None)?;
        let replicas = sentinel.command(&["SENTINEL", "REPLICAS", Self::SERVICE])?;
        Ok(replicas.array().is_some_and(|replicas| !replicas.is_empty()))
    }
}

fn configuration(port: &Port, primary: &RedisServer) -> String {
    let name = RedisSentinel::SERVICE;
    format!(
        "port {}\nbind 127.0.0.1\ndir .\nsentinel monitor {name} 127.0.0.1 {} 1\n\
         sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 5000\n",
        port.number(),
        primary.port(),
    )
}
