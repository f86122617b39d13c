//! `--listen`: health and metrics over HTTP, for as long as the sink runs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use events_core::ConsumerOptions;
use events_factory::{EventsConfig, Registry};
use events_telemetry::{Exporter, Health, HealthConfig, serve};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How often the stream is looked at, for what a single consumer cannot see.
const EVERY: Duration = Duration::from_secs(10);

/// Answers requests until it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    tasks: JoinSet<()>,
}

impl Listener {
    /// Listens before anything else is done, so that a sink which waits for its broker says so. What the registry makes
    /// is measured.
    pub(crate) async fn start(address: SocketAddr, config: &EventsConfig) -> Result<(Self, Registry)> {
        let exporter = Exporter::install()?;
        let mut settings = HealthConfig::default();
        // Whoever takes over an event of a consumer that died does so when its lease has ended.
        settings.stall_after = settings.stall_after.max(lease(config) * 3);
        let health = Health::new(&config.stream_key, settings);
        let registry = Registry::new().with_telemetry(&health);
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        tracing::info!(address = %listener.local_addr()?, "serving /livez, /readyz and /metrics");
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, health, exporter));
        tasks.spawn(look(registry.clone(), config.clone()));
        Ok((Self { tasks }, registry))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

fn lease(config: &EventsConfig) -> Duration {
    config.lease.unwrap_or(ConsumerOptions::DEFAULT_LEASE)
}

async fn look(registry: Registry, config: EventsConfig) {
    // The consumer meets the same refusal, and the sink ends with it.
    if let Err(error) = registry.watch_event_stream(&config, EVERY).await {
        tracing::debug!(%error, "the stream cannot be looked at");
    }
}

/// An address, or a port of the loopback address alone.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')).unwrap_or(text);
    match port.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        Err(_) => text.parse().map_err(|_| {
            format!(
                "expected a port of the loopback address, or an address such as 0.0.0.0:9090, found {text:?}"
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_the_loopback_address() {
        for (given, meant) in [
            ("9090", "127.0.0.1:9090"),
            (":0", "127.0.0.1:0"),
            ("localhost:90", "127.0.0.1:90"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(address(given), Ok(meant.parse().unwrap()));
        }
        for bad in ["", ":", "localhost", "localhost:", "70000", "1.2.3.4"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
