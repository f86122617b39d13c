//! `RedisCluster`: three Redis servers that share the hash slots.

use anyhow::{Context, Result};

use crate::startup::await_condition;
use crate::{RedisServer, Reply};

/// How many hash slots a cluster has.
const SLOTS: usize = 16_384;

/// How many servers it takes: the fewest that can still agree when one is lost.
const NODES: usize = 3;

/// Masters agree after so long that one of them is lost; a replica is promoted soon after.
const NODE_TIMEOUT_MS: &str = "2000";

/// A cluster of three masters, each with its own port and directory. None has a replica unless one is
/// [added](Self::add_replica_of).
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    replica: Option<RedisServer>,
}

impl RedisCluster {
    /// Starts the servers, spreads the slots over them, and waits until all of them agree.
    ///
    /// # Errors
    /// As [`RedisServer::start`], or when they do not agree within a minute.
    pub fn start() -> Result<Self> {
        let nodes: Vec<RedisServer> = (0..NODES).map(|_| node()).collect::<Result<_>>()?;
        for (number, node) in nodes.iter().enumerate() {
            let share = number * SLOTS / NODES..(number + 1) * SLOTS / NODES;
            // Servers before 7.0 take no ranges.
            let words = ["CLUSTER", "ADDSLOTS"].map(str::to_owned).into_iter();
            node.command(&words.chain(share.map(|slot| slot.to_string())).collect::<Vec<_>>())?;
        }
        let first = nodes.first().context("a cluster has nodes")?;
        for node in &nodes[1..] {
            first.command(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string()])?;
        }
        let cluster = Self { nodes, replica: None };
        await_condition("the cluster's nodes do not agree", || cluster.agrees())?;
        Ok(cluster)
    }

    /// Starts a replica of the master that holds `key`, and waits until it is in step and everybody knows it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn add_replica_of(&mut self, key: &str) -> Result<&mut RedisServer> {
        let replica = node()?;
        let master = self.node_of(key)?;
        let (port, id) = (master.port(), master.command(&["CLUSTER", "MYID"])?);
        let id = id.text().context("a node has an id")?.to_owned();
        replica.command(&["CLUSTER", "MEET", "127.0.0.1", &port.to_string()])?;
        // Not before it has heard of the master.
        await_condition("the replica does not follow", || {
            Ok(replica.command(&["CLUSTER", "REPLICATE", &id]).is_ok())
        })?;
        await_condition("the replica is not in step", || {
            let info = replica.command(&["INFO", "replication"])?;
            Ok(info.text().is_some_and(|text| text.contains("master_link_status:up")))
        })?;
        let replica = self.replica.insert(replica);
        let id = replica.command(&["CLUSTER", "MYID"])?.text().unwrap_or_default().to_owned();
        for node in &self.nodes {
            await_condition("a master does not know the replica", || {
                let nodes = node.command(&["CLUSTER", "NODES"])?;
                let mut lines = nodes.text().unwrap_or_default().lines();
                Ok(lines.any(|line| line.starts_with(&id) && line.contains("slave")))
            })?;
        }
        Ok(replica)
    }

    /// Where the masters are, as a client takes it.
    pub fn url(&self) -> String {
        let mut ports = self.nodes.iter().map(RedisServer::port);
        let first = ports.next().unwrap_or_default();
        let others: Vec<String> = ports.map(|port| format!("node=127.0.0.1:{port}")).collect();
        format!("redis-cluster://127.0.0.1:{first}?{}", others.join("&"))
    }

    /// The servers; each knows the way to the others.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The servers, to kill, freeze or restart one.
    pub fn nodes_mut(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }

    /// The server that holds `key`.
    ///
    /// # Errors
    /// When a server does not answer.
    pub fn node_of(&self, key: &str) -> Result<&RedisServer> {
        let asked = self.nodes.first().context("a cluster has nodes")?;
        let slot = asked.command(&["CLUSTER", "KEYSLOT", key])?.integer().context("no slot")?;
        let slots = asked.command(&["CLUSTER", "SLOTS"])?;
        let range = slots.array().into_iter().flatten().filter_map(Reply::array).find(|range| {
            let [from, to] = [0, 1].map(|place| range.get(place).and_then(Reply::integer).unwrap_or(-1));
            (from..=to).contains(&slot)
        });
        let port = range
            .and_then(|range| range.get(2)?.array()?.get(1)?.integer())
            .context("nobody holds the slot")?;
        self.nodes.iter().find(|node| i64::from(node.port()) == port).context("a stranger holds the slot")
    }

    /// The master that holds `key`, to kill or freeze it.
    ///
    /// # Errors
    /// As [`node_of`](Self::node_of).
    pub fn node_of_mut(&mut self, key: &str) -> Result<&mut RedisServer> {
        let port = self.node_of(key)?.port();
        self.nodes.iter_mut().find(|node| node.port() == port).context("a stranger holds the slot")
    }

    fn agrees(&self) -> Result<bool> {
        for node in &self.nodes {
            let info = node.command(&["CLUSTER", "INFO"])?;
            let info = info.text().unwrap_or_default();
            let known = format!("cluster_known_nodes:{NODES}");
            if !["cluster_state:ok", &known].iter().all(|line| info.lines().any(|said| said == *line)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn node() -> Result<RedisServer> {
    let arguments = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"];
    let patience = ["--cluster-node-timeout", NODE_TIMEOUT_MS, "--repl-diskless-sync-delay", "0"];
    RedisServer::builder().with_arguments(arguments).with_arguments(patience).start()
}
