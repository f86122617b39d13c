//! The consuming side: handlers run, and their outcome settles the event.

mod builder;
mod config;
mod report;
mod retry;

mod context;
mod failure;
mod handler;
mod middleware;
mod pattern;
mod router;

mod deduplicate;
mod rate_limit;

mod batch;

mod caution;
mod crew;
mod dispatch;
mod held;
mod intake;
mod lanes;
mod outcomes;
mod settling;
mod trace;
#[cfg(feature = "schema")]
mod typed;

pub use batch::{BatchDone, BatchError, BatchWorker};
pub use builder::Worker;
pub use config::{Unmatched, WorkerConfig};
pub use context::Context;
pub use deduplicate::Deduplicate;
pub use failure::Failure;
pub use handler::{FromContext, Handler, Outcome, Typed};
pub use middleware::{Middleware, Next};
pub use rate_limit::RateLimit;
pub use report::WorkerReport;
pub use retry::RetryPolicy;
