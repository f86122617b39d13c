//! What the tests need besides the Rust toolchain: found, or provided below `target/test-env`, never outside unasked.

mod compose;
mod debian;
mod debian_root;
mod emulators;
mod generations;
mod python;
mod redis;
pub(crate) mod valgrind;

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

/// A program and how it was come by.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// What it says it is.
    pub(crate) version: String,
    /// How it was come by, for the report.
    pub(crate) origin: &'static str,
}

/// Everything the tests are given.
#[derive(Debug)]
pub(crate) struct TestEnv {
    redis_server: Program,
    redis_url: Option<String>,
    /// Servers of other generations, each with the variable that names it to the tests.
    generations: Vec<(&'static str, Program)>,
    python: Program,
    older_faststream: Program,
    ministack: Program,
    moto: Program,
}

impl TestEnv {
    /// Finds, starts or installs what the tests use. Idempotent; two runs at once take turns.
    pub(crate) fn prepare() -> Result<Self> {
        let folder = command::root().join("target/test-env");
        fs::create_dir_all(folder.join("bin"))
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let _turn = take_turn(&folder)?;
        let redis_server = redis::provide(&folder)?;
        let python = python::provide(&folder)?;
        let older_faststream = python::older_faststream(&folder, &python)?;
        let generations = generations::provide(&folder, &python)?;
        let ministack = emulators::provide("ministack", "ministack", "EVENTS_TEST_MINISTACK", &python)?;
        let moto = emulators::provide("moto_server", "moto", "EVENTS_TEST_MOTO", &python)?;
        let redis_url = env::var("EVENTS_TEST_REDIS_URL").ok().filter(|url| !url.is_empty());
        Ok(Self { redis_server, redis_url, generations, python, older_faststream, ministack, moto })
    }

    /// Hands everything to a test run.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.env("EVENTS_TEST_REDIS_SERVER", &self.redis_server.path);
        for (variable, program) in &self.generations {
            command.env(variable, &program.path);
        }
        command.env("EVENTS_TEST_PYTHON", &self.python.path);
        command.env("EVENTS_TEST_OLDER_FASTSTREAM", &self.older_faststream.path);
        command.env("EVENTS_TEST_MINISTACK", &self.ministack.path);
        command.env("EVENTS_TEST_MOTO", &self.moto.path);
    }

    /// What the tests run against, a line each. An address may hold a password, so it is not shown.
    pub(crate) fn report(&self) -> Vec<String> {
        let line = |what: &str, program: &Program| {
            format!("{what}: {} ({}, {})", program.version, program.origin, program.path.display())
        };
        let mut lines = vec![line("Redis, servers of the tests' own", &self.redis_server)];
        if self.redis_url.is_some() {
            lines.push("Redis, shared: the address in EVENTS_TEST_REDIS_URL".to_owned());
        }
        lines.extend(
            self.generations.iter().map(|(_, program)| line("A server of another generation", program)),
        );
        lines.push(line("Python", &self.python));
        lines.push(line("Python, the older message format", &self.older_faststream));
        lines.push(line("SNS and SQS", &self.ministack));
        lines.push(line("SNS and SQS", &self.moto));
        lines
    }
}

/// Holds the folder's lock until the returned file is dropped, also when this process dies.
fn take_turn(folder: &Path) -> Result<File> {
    let path = folder.join("install.lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            println!("another run prepares the test environment; waiting for it");
        }
        Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the test environment"),
    }
    file.lock().context("cannot lock the test environment")?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let turn = take_turn(folder.path()).unwrap();
        let other = File::open(folder.path().join("install.lock")).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(turn);
        assert!(other.try_lock().is_ok());
    }
}
