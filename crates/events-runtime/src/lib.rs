//! What every service writes by hand otherwise: a publisher that cannot hurt its service, and a worker that runs handlers.

#![doc = include_str!("../README.md")]

mod backoff;
mod header_scope;
mod outage;
mod patience;

mod manager;
mod worker;

pub use events_core::SeenStore;
pub use header_scope::HeaderScope;
pub use manager::{
    ContextSource, DropReason, EventManager, EventManagerBuilder, ManagerConfig, ManagerStats, Overflow,
    Spool, SpoolConfig, SpoolLock,
};
pub use patience::until_available;
pub use worker::{
    BatchDone, BatchError, BatchWorker, Context, Deduplicate, Failure, FromContext, Handler, Middleware,
    Next, Outcome, RateLimit, RetryPolicy, Typed, Unmatched, Worker, WorkerConfig, WorkerReport,
};
