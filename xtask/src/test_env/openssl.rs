//! OpenSSL's headers, which a build with all features needs: native TLS is one of them, and on Linux that is OpenSSL.

use std::process::Command;

use anyhow::{Context, Result};

use super::debian;
use crate::command;
use crate::metadata::Workspace;

/// Installs the headers when the workspace needs them and they are missing.
pub(crate) fn provide(workspace: &Workspace) -> Result<()> {
    let needed =
        workspace.packages.iter().any(|package| workspace.closure(&package.name).contains("openssl-sys"));
    let named = ["OPENSSL_DIR", "OPENSSL_LIB_DIR"].iter().any(|name| std::env::var_os(name).is_some());
    if !cfg!(target_os = "linux") || !needed || named {
        return Ok(());
    }
    if command::succeeds(Command::new("pkg-config").args(["--exists", "openssl"])) {
        return Ok(());
    }
    debian::install(&["libssl-dev", "pkg-config"])
        .context("a build with all features needs OpenSSL's headers")
}
