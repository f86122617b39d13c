//! valgrind, which counts instructions.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::debian;
use crate::command;

/// Finds valgrind, or installs it.
pub(crate) fn provide() -> Result<PathBuf> {
    if let Some(found) = command::on_path("valgrind") {
        return Ok(found);
    }
    debian::install(&["valgrind"])?;
    command::on_path("valgrind").context("valgrind was installed and is not on the PATH")
}
