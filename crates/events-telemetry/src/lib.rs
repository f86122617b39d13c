//! Metrics, health and traces for whoever publishes or consumes events, on any backend.

#![doc = include_str!("../README.md")]

mod metric;

mod consumer;
mod manager;
mod observer;
mod outcome;
mod publisher;
mod settler;

mod health;
mod poller;

#[cfg(feature = "server")]
mod exporter;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "opentelemetry")]
mod trace;

pub use consumer::measure_consumer;
#[cfg(feature = "server")]
pub use exporter::Exporter;
pub use health::{Health, HealthConfig, Readiness};
pub use manager::{ManagerMeter, ManagerState};
pub use metric::{METRICS, Metric, MetricKind, describe};
pub use observer::{observe_consumer, observe_publisher};
pub use poller::Poller;
pub use publisher::measure_publisher;
#[cfg(feature = "server")]
pub use server::serve;
#[cfg(feature = "opentelemetry")]
pub use trace::{consumer_span, trace_publisher};
