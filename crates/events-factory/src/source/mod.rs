//! Where settings come from: files, the environment and flags, each read into one tree that remembers the places.

mod de;
mod env;
mod file;
mod problem;
mod toml;
mod tree;
mod yaml;

pub(crate) use de::deserialize;
pub(crate) use env::overlay_environment;
pub(crate) use file::read_file;
pub use tree::Place;
pub(crate) use tree::{Node, Table, Value};

/// Text that does not follow its syntax.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) place: Place,
    pub(crate) message: String,
}
