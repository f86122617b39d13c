//! What the command-line programs of `events` share.

#![doc = include_str!("../README.md")]

mod connection;
mod filter;

mod escape;
mod format;
mod line;
mod output;

mod exit;
mod logging;
mod shutdown;

pub use connection::ConnectionArgs;
pub use exit::Exit;
pub use filter::{Filter, FilterArgs};
pub use format::Format;
pub use line::Line;
pub use logging::{Audience, init_logging};
pub use output::Output;
pub use shutdown::Shutdown;
