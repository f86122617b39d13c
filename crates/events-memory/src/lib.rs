//! The in-process backend: the reference of the semantics every backend promises.

#![doc = include_str!("../README.md")]

mod broker;
mod clock;
mod config;

mod admin;
mod consumer;
mod publisher;
mod settler;

mod cell;
mod dead_letters;
mod group;
mod log;
mod stream;
mod trimming;

#[cfg(test)]
mod conformance;

pub use admin::MemoryAdmin;
pub use broker::MemoryBroker;
pub use clock::{Clock, ManualClock};
pub use config::MemoryConfig;
pub use consumer::MemoryConsumer;
pub use publisher::MemoryPublisher;
