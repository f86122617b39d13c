//! The Redis server program.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Program, compose, debian};
use crate::command;

/// Debian's `redis-tools` holds the server program under this name (the package `redis-server` adds a link to it and a
/// service). Installing the tools starts no service and leaves no account or configuration behind.
const DEBIAN_PROGRAM: &str = "redis-check-rdb";

/// The program that tests start their own servers with.
pub(super) fn provide(folder: &Path) -> Result<Program> {
    if let Some(path) = env::var_os("EVENTS_TEST_REDIS_SERVER").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        let version =
            version(&path).with_context(|| format!("EVENTS_TEST_REDIS_SERVER={}", path.display()))?;
        return Ok(Program { path, version, origin: "from EVENTS_TEST_REDIS_SERVER" });
    }
    if let Some(found) = command::on_path("redis-server").and_then(|path| checked(path, "found on the PATH"))
    {
        return Ok(found);
    }
    let provided = folder.join("bin/redis-server");
    if let Some(found) = checked(provided.clone(), "provided by an earlier run") {
        return Ok(found);
    }
    if let Some(found) = linked(&provided, "found on the PATH as redis-check-rdb")? {
        return Ok(found);
    }
    if compose::copy_redis_server(&provided)?
        && let Some(found) = checked(provided.clone(), "copied from the image of docker-compose.yml")
    {
        return Ok(found);
    }
    debian::install(&["redis-tools"]).context("no Redis server program was found")?;
    match linked(&provided, "installed as Debian's redis-tools")? {
        Some(found) => Ok(found),
        None => bail!(
            "redis-tools holds no {DEBIAN_PROGRAM} here; install a Redis server: apt-get install redis-server"
        ),
    }
}

/// Debian's program decides by the name it is called by, so a link with the right name makes it a server.
fn linked(link: &Path, origin: &'static str) -> Result<Option<Program>> {
    let Some(program) = command::on_path(DEBIAN_PROGRAM) else { return Ok(None) };
    remove_stale(link)?;
    #[cfg(unix)]
    std::os::unix::fs::symlink(&program, link)
        .with_context(|| format!("cannot create {}", link.display()))?;
    Ok(checked(link.to_owned(), origin))
}

pub(super) fn remove_stale(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

pub(super) fn make_executable(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {} executable", path.display()))?;
    }
    Ok(())
}

fn checked(path: PathBuf, origin: &'static str) -> Option<Program> {
    let version = version(&path).ok()?;
    Some(Program { path, version, origin })
}

/// `Redis 7.0.15`, from the program's own words.
pub(super) fn version(program: &Path) -> Result<String> {
    let said = command::output(Command::new(program).arg("--version"))?;
    parse_version(&said).with_context(|| format!("{} is no Redis server: {}", program.display(), said.trim()))
}

fn parse_version(said: &str) -> Option<String> {
    let mut words = said.split_whitespace();
    let name = words.next().filter(|_| words.next() == Some("server"))?;
    let number = words.find_map(|word| word.strip_prefix("v="))?;
    Some(format!("{name} {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_own_words() {
        let said =
            "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0\n";
        assert_eq!(parse_version(said).as_deref(), Some("Redis 7.0.15"));
        assert_eq!(parse_version("Valkey server v=8.0.2 sha=0").as_deref(), Some("Valkey 8.0.2"));
        assert_eq!(parse_version("redis-cli 7.0.15"), None);
        assert_eq!(parse_version(""), None);
    }
}
