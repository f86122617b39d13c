//! The producing side: events go in at once and out in batches, whatever the broker does.

mod config;
mod context;
mod event_manager;
mod observer;
mod stats;

mod builder;
mod connection;
mod drop_log;
mod queue;
mod request;
mod sender;
mod shared;
mod spool;
mod spool_lock;
mod spooling;
mod taker;

pub use builder::EventManagerBuilder;
pub use config::{ManagerConfig, Overflow, SpoolConfig};
pub use context::ContextSource;
pub use event_manager::EventManager;
pub use spool::Spool;
pub use spool_lock::SpoolLock;
pub use stats::{DropReason, ManagerStats};
