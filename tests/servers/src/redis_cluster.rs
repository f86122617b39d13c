//! `RedisCluster`: three Redis servers that share the hash slots.

use anyhow::{Context, Result};

use crate::startup::await_condition;
use crate::{RedisServer, Reply};

/// How many hash slots a cluster has.
const SLOTS: usize = 16_384;

/// How many servers it takes: the fewest that can still agree when one is lost.
const NODES: usize = 3;

/// A cluster of three servers without replicas, each with its own port and directory.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the servers, spreads the slots over them, and waits until all of them agree.
    ///
    /// # Errors
    /// As [`RedisServer::start`], or when they do not agree within a minute.
    pub fn start() -> Result<Self> {
        let arguments = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"];
        let node = || RedisServer::builder().with_arguments(arguments).start();
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
        let cluster = Self { nodes };
        await_condition("the cluster's nodes do not agree", || cluster.agrees())?;
        Ok(cluster)
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
