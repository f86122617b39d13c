//! Where programs are found: an environment variable, the `PATH`, or what `cargo xtask integration` provided.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::ServerGeneration;

/// What to do about a program that is missing; every such error ends with it.
pub(crate) const REMEDY: &str = "run `cargo xtask integration`, which finds or installs it";

/// The Redis server program, which is also the sentinel.
pub(crate) fn redis_server() -> Result<PathBuf> {
    find("EVENTS_TEST_REDIS_SERVER", &["redis-server"], "bin/redis-server")
}

/// The program of a server of one generation.
pub(crate) fn server_of(generation: ServerGeneration) -> Result<PathBuf> {
    match generation {
        ServerGeneration::Default => redis_server(),
        ServerGeneration::Redis6 => find("EVENTS_TEST_REDIS_6_2", &[], "bin/redis-server-6.2"),
        ServerGeneration::Redis8 => find("EVENTS_TEST_REDIS_8", &[], "bin/redis-server-8"),
        ServerGeneration::Valkey => find("EVENTS_TEST_VALKEY", &["valkey-server"], "bin/valkey-server"),
    }
}

/// A directory for one server, removed when dropped.
pub(crate) fn server_directory() -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("events-redis-")
        .tempdir()
        .context("cannot create a directory for a server")
}

/// The program named by `variable`; else the first of `names` on the `PATH`; else `provided`, a path below the
/// workspace's `target/test-env`.
pub(crate) fn find(variable: &str, names: &[&str], provided: &str) -> Result<PathBuf> {
    if let Some(given) = env::var_os(variable).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty())
    {
        if !given.is_file() {
            bail!("{variable} names {}, which is no file", given.display());
        }
        return Ok(given);
    }
    if let Some(found) = names.iter().find_map(|name| on_path(name)) {
        return Ok(found);
    }
    let provided = test_environment().join(provided);
    if provided.is_file() {
        return Ok(provided);
    }
    let looked_for = if names.is_empty() { provided.display().to_string() } else { names.join(" or ") };
    bail!("{variable} is not set and {looked_for} was not found: {REMEDY}");
}

/// The program of this name on the `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|candidate| candidate.is_file())
}

/// `target/test-env` of the workspace, wherever cargo's own target directory is.
fn test_environment() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-env")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_an_error_that_names_the_remedy() {
        let error = find("EVENTS_TEST_NOT_SET", &["no-such-program"], "bin/no-such-program").unwrap_err();
        assert!(error.to_string().contains("cargo xtask integration"));
    }

    #[test]
    fn finds_a_program_on_the_path() {
        assert!(find("EVENTS_TEST_NOT_SET", &["no-such-program", "sh"], "bin/sh").unwrap().ends_with("sh"));
    }
}
