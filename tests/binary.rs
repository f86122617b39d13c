//! Where the built binaries are, and how a test starts them.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The program `name` of this build, with an environment that holds nothing of the caller's but the `PATH`, and credentials
/// as emulators of AWS take them.
///
/// # Errors
/// When it has not been built.
pub fn command(name: &str) -> Result<Command> {
    let mut command = Command::new(directory()?.join(name));
    let built = PathBuf::from(command.get_program());
    if !built.exists() {
        bail!(
            "{} is not built: run `cargo xtask integration`, or `cargo build --workspace`",
            built.display()
        );
    }
    command.env_clear().env("AWS_ACCESS_KEY_ID", "k").env("AWS_SECRET_ACCESS_KEY", "s");
    if let Some(path) = env::var_os("PATH") {
        command.env("PATH", path);
    }
    Ok(command)
}

/// `event-log-sink` on a stream, in a group, printing JSON.
///
/// # Errors
/// When it has not been built.
pub fn sink(url: &str, stream_key: &str, group: &str) -> Result<Command> {
    let mut command = command("event-log-sink")?;
    command.args(["--url", url, "--stream-key", stream_key, "--format", "json", "--consumer-group", group]);
    Ok(command)
}

/// `events <verb>` on a stream.
///
/// # Errors
/// When it has not been built.
pub fn events(verb: &str, url: &str, stream_key: &str) -> Result<Command> {
    let mut command = command("events")?;
    command.arg(verb).args(["--url", url, "--stream-key", stream_key]);
    Ok(command)
}

/// Cargo puts a test into `<target>/<profile>/deps` and the binaries one floor above.
fn directory() -> Result<PathBuf> {
    let test = env::current_exe().context("this test does not know where it is")?;
    let profile = test.ancestors().skip(1).find(|folder| folder.file_name() != Some(OsStr::new("deps")));
    Ok(profile.context("this test is in no folder of cargo's")?.to_owned())
}
