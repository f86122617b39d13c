//! Where a scene is played: a home of its own, and the programs of this build.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::cargo::binary;
use crate::command;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// A home in which commands are run.
#[derive(Debug)]
pub(super) struct Stage {
    home: TempDir,
}

impl Stage {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { home: tempfile::tempdir().context("cannot make a temporary directory")? })
    }

    /// The lines that stand at a terminal when a command line that was typed there has ended.
    pub(super) fn printed_at_terminal(&self, line: &str) -> Result<Vec<String>> {
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--flush", "--command", line, "/dev/null"]);
        let drawn = command::output(self.at_home(&mut script).env("TERM", "xterm"))?;
        drawn.lines().map(standing).collect()
    }

    /// What a command line prints for programs.
    pub(super) fn printed(&self, line: &str) -> Result<String> {
        command::output(self.at_home(Command::new("sh").args(["-c", line])))
    }

    /// Runs a command line until it prints what is wanted.
    pub(super) fn wait_for(&self, line: &str, is_meant: impl Fn(&str) -> bool) -> Result<()> {
        let end = Instant::now() + DEADLINE;
        loop {
            let printed = self.printed(line)?;
            if is_meant(&printed) {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("{line} prints\n{printed}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Starts a command whose output nobody reads, waits until another one prints what is wanted, and kills it.
    pub(super) fn killed_once(
        &self,
        words: &[&str],
        line: &str,
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let (program, arguments) = words.split_first().context("a command has a program")?;
        let mut starting = Command::new(binary(program));
        starting.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            self.at_home(&mut starting).spawn().with_context(|| format!("cannot run {program}"))?;
        let happened = self.wait_for(line, is_meant);
        child.kill().and_then(|()| child.wait()).with_context(|| format!("cannot kill {program}"))?;
        happened
    }

    fn at_home<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let here = binary("events");
        let mut folders = vec![here.parent().unwrap_or_else(|| Path::new(".")).to_owned()];
        folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        // A folder whose name cannot stand in a PATH holds no program anybody could have started.
        let path = env::join_paths(folders).unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", self.home.path()).env("SHELL", "/bin/sh");
        command.current_dir(self.home.path())
    }
}

/// What stands in a line of a terminal in the end, with its colours: what was erased, as progress is, does not.
fn standing(drawn: &str) -> Result<String> {
    let drawn = drawn.trim_end_matches('\r');
    let standing = drawn.rsplit("\u{1b}[2K").next().unwrap_or_default();
    let mut escapes = standing.split("\u{1b}").skip(1);
    let is_colour = |escape: &str| {
        let code = escape.strip_prefix('[').and_then(|escape| escape.split_once('m'));
        code.is_some_and(|(code, _)| code.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if standing.contains('\r') || !escapes.all(is_colour) {
        bail!("a picture cannot show {drawn:?}");
    }
    Ok(standing.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_erased_does_not_stand_there() {
        let drawn = "redriving 0/2 \r\u{1b}[2Kredriven \u{1b}[1m2\u{1b}[0m\r";
        assert_eq!(standing(drawn).unwrap(), "redriven \u{1b}[1m2\u{1b}[0m");
        for unknown in ["\u{1b}[H", "over\rwritten", "\u{1b}]0;title\u{7}"] {
            assert!(standing(unknown).is_err(), "{unknown:?}");
        }
    }
}
