//! Tests against real Redis servers.

mod account;
mod chance;
mod conformance;
mod harness;
mod proxy;
mod raw;

mod confirmation;
mod connecting;
mod dead_letters;
mod eviction;
mod failover;
mod faults;
mod idempotency;
mod leases;
mod meeting;
#[cfg(target_os = "linux")]
mod memory;
mod newer_servers;
mod receiving;
mod refusals;
mod security;
mod soak;
mod state;
mod support;
mod unscripted;
mod upkeep;
