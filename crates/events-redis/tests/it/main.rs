//! Tests against real Redis servers.

mod chance;
mod conformance;
mod harness;
mod proxy;
mod raw;

mod connecting;
mod dead_letters;
mod eviction;
mod failover;
mod faults;
mod leases;
mod meeting;
mod receiving;
mod refusals;
mod security;
mod soak;
mod state;
mod support;
mod unscripted;
mod upkeep;
