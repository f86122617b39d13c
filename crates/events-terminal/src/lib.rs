//! What the command-line programs of `events` share.

#![doc = include_str!("../README.md")]

mod connection;
mod count;
mod duration;
mod encoding;
mod filter;

mod escape;
mod format;
mod line;
mod output;
mod rotation;
mod table;
mod write_error;

mod exit;
mod logging;
mod shutdown;

pub use connection::ConnectionArgs;
pub use count::parse_count;
pub use duration::parse_duration;
pub use encoding::EncodingParser;
pub use escape::append_json;
pub use exit::Exit;
pub use filter::{Filter, FilterArgs};
pub use format::Format;
pub use line::Line;
pub use logging::{Audience, LogFormat, init_logging};
pub use output::Output;
pub use rotation::{Reopen, Rotation, parse_size};
pub use shutdown::Shutdown;
pub use table::{Column, Table};
pub use write_error::WriteError;
