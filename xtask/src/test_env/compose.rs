//! Taking the Redis server program out of the image that `docker-compose.yml` names.
//!
//! Tests kill, freeze and restart their servers and read their files. A container's process is out of reach for that,
//! but the program in a Debian-based image runs outside as well, wherever the C library is GNU's.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::command;

/// A project name of its own, so that a developer's running containers are left alone.
const PROJECT: &str = "events-test-env";

/// Copies the program to `target`. `Ok(false)` when no container engine answers or the image cannot be had.
pub(super) fn copy_redis_server(target: &Path) -> Result<bool> {
    if !command::succeeds(Command::new("docker").arg("info")) {
        return Ok(false);
    }
    let Some(compose) = compose_program() else { return Ok(false) };
    println!("taking redis-server from the image in docker-compose.yml");
    let copied = copy(compose, target);
    let removed = command::run(&mut on_project(compose, &["down", "--volumes"]));
    if let Err(error) = &copied {
        println!("that did not work: {error:#}");
    }
    removed.map(|()| copied.is_ok())
}

fn copy(compose: &[&str], target: &Path) -> Result<()> {
    // The container is created and never started.
    command::run(&mut on_project(compose, &["up", "--no-start", "redis"]))?;
    let container = command::output(&mut on_project(compose, &["ps", "--all", "--quiet", "redis"]))?;
    let source = format!("{}:/usr/local/bin/redis-server", container.trim());
    command::run(Command::new("docker").args(["cp", "--follow-link", &source]).arg(target))
}

fn compose_program() -> Option<&'static [&'static str]> {
    let known: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    known.into_iter().find(|words| command::succeeds(Command::new(words[0]).args(&words[1..]).arg("version")))
}

fn on_project(compose: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new(compose[0]);
    command.args(&compose[1..]).args(["--project-name", PROJECT, "--file", "docker-compose.yml"]);
    command.args(arguments).current_dir(command::root());
    command
}
