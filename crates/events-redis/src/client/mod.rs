//! The Redis client: every command, every script and every type of `fred` is behind this module and nowhere else.
//!
//! The rest of the crate sees [`StreamClient`] for commands on one stream, [`ReadConnection`] for reads that may block,
//! and [`CommandError`].

mod connect;
mod error;
mod reply;

mod batches;
mod chores;
mod confirmation;
mod eviction;
mod features;
mod idempotency;
mod line;
mod notes;
mod part;
mod read_connection;
mod scripts;
mod seen;
mod state;
mod stream_client;
#[cfg(feature = "tls")]
mod tls;
mod unscripted;

pub(crate) use batches::{Held, Moved};
pub(crate) use confirmation::Confirmation;
pub(crate) use connect::{Link, Role};
pub(crate) use error::{Code, CommandError};
pub(crate) use line::{Line, NewEntry};
pub(crate) use read_connection::ReadConnection;
pub(crate) use reply::{Entry, GroupInfo, Pending};
pub(crate) use scripts::{Burial, Hold};
pub(crate) use state::ConsumerInfo;
pub(crate) use stream_client::{PendingFilter, StreamClient};

/// The client a user may hand over; the only type of a client library in a public signature.
pub(crate) use fred::clients::Client as ForeignClient;
