//! Configuration or URL in, publisher and consumer out: the one crate that names several backends.

#![doc = include_str!("../README.md")]

mod create;
#[cfg_attr(not(feature = "telemetry"), path = "unmeasured.rs")]
mod measuring;
mod registry;
#[cfg(feature = "runtime")]
mod runtime;

mod config;
mod loader;
#[cfg(not(all(
    feature = "aws",
    feature = "memory",
    feature = "redis",
    feature = "runtime",
    feature = "sqlite"
)))]
mod not_compiled;
mod source;
mod url;

mod backend;
mod builtin;
mod disabled;

mod invalid;
mod suggest;

pub use backend::{Backend, Ensure, Target};
pub use config::{DEFAULT_STREAM_KEY, EventsConfig};
pub use create::{create_event_admin, create_event_consumer, create_event_publisher, ensure_event_stream};
pub use loader::{ConfigLoader, Setting, Settings};
pub use registry::Registry;
#[cfg(feature = "runtime")]
pub use runtime::{create_event_manager, create_event_worker, create_seen_store};
pub use source::Place;
pub use url::BrokerUrl;
