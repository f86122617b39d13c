//! `--listen`: health and metrics over HTTP, for as long as the sink runs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use events_core::{ConsumerOptions, EventConsumer};
use events_factory::{EventsConfig, create_event_admin};
use events_runtime::until_available;
use events_telemetry::{Exporter, Health, HealthConfig, Poller, measure_consumer, serve};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How often the stream is looked at, for what a single consumer cannot see.
const EVERY: Duration = Duration::from_secs(10);

/// Answers requests until it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    health: Health,
    tasks: JoinSet<()>,
}

impl Listener {
    /// Listens before anything else is done, so that a sink which waits for its broker says so.
    pub(crate) async fn start(address: SocketAddr, config: &EventsConfig) -> Result<Self> {
        let exporter = Exporter::install()?;
        let mut settings = HealthConfig::default();
        // Whoever takes over an event of a consumer that died does so when its lease has ended.
        settings.stall_after = settings.stall_after.max(lease(config) * 3);
        let health = Health::new(&config.stream_key, settings);
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        tracing::info!(address = %listener.local_addr()?, "serving /livez, /readyz and /metrics");
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, health.clone(), exporter));
        tasks.spawn(look(config.clone(), health.clone()));
        Ok(Self { health, tasks })
    }

    /// The consumer, counted.
    pub(crate) fn measure(
        &self,
        consumer: Box<dyn EventConsumer>,
        config: &EventsConfig,
    ) -> Result<Box<dyn EventConsumer>> {
        Ok(measure_consumer(consumer, &config.stream_key, &config.consumer_options()?, &self.health))
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

async fn look(config: EventsConfig, health: Health) {
    let admin = until_available(std::future::pending(), || create_event_admin(&config)).await;
    // The consumer meets the same refusal, and the sink ends with it.
    let Ok(Some(admin)) = admin else { return };
    let group = config.consumer_group.clone().unwrap_or_default();
    Poller::new(admin, config.stream_key, group, health).run(EVERY).await;
}

/// An address, or a port of the loopback address alone.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    match port {
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
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(address(given), Ok(meant.parse().unwrap()));
        }
        for bad in ["", ":", "localhost", "70000", "1.2.3.4"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
