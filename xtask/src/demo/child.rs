//! `Child`: a process of the demo, which may neither outlive it nor hang it.

use std::io::{BufRead, BufReader};
use std::process::{self, ChildStdin, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::shown;

/// When everything must be over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// A started process; dropping it kills it.
#[derive(Debug)]
pub(super) struct Child {
    name: &'static str,
    process: process::Child,
    deadline: Deadline,
}

impl Child {
    pub(super) fn start(name: &'static str, command: &mut Command, deadline: Deadline) -> Result<Self> {
        let process = command.spawn().with_context(|| format!("cannot start {}", shown(command)))?;
        Ok(Self { name, process, deadline })
    }

    /// Its standard input, which must be piped; dropping it ends the input.
    pub(super) fn take_input(&mut self) -> Result<ChildStdin> {
        self.process.stdin.take().with_context(|| format!("{} has no standard input", self.name))
    }

    /// Passes each line of its standard output on as it comes, from a thread of its own.
    pub(super) fn follow(mut self, each: impl Fn(&str) + Send + 'static) -> Result<Followed> {
        let output =
            self.process.stdout.take().with_context(|| format!("{} has no standard output", self.name))?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                each(&line);
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Followed { child: self, lines })
    }

    /// Waits until it has ended with exit code 0.
    pub(super) fn wait(&mut self) -> Result<()> {
        loop {
            if let Some(status) =
                self.process.try_wait().with_context(|| format!("cannot wait for {}", self.name))?
            {
                if status.success() {
                    return Ok(());
                }
                bail!("{} failed: {status}", self.name);
            }
            if self.deadline.left().is_zero() {
                bail!("{} is not done at the deadline", self.name);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A process whose output is being read; dropping it kills the process.
#[derive(Debug)]
pub(super) struct Followed {
    child: Child,
    lines: Receiver<String>,
}

impl Followed {
    /// Every line it printed, once it has ended with exit code 0.
    pub(super) fn until_it_ends(mut self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(self.child.deadline.left()) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{} is not done at the deadline, after {} lines", self.child.name, lines.len())
                }
            }
        }
        self.child.wait()?;
        Ok(lines)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It has ended already, or there is nothing more to be done about it.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn sh(script: &str, time: Duration) -> Result<Vec<String>> {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        Child::start("the script", &mut command, Deadline::after(time))?.follow(|_| {})?.until_it_ends()
    }

    #[test]
    fn returns_the_lines_of_a_process_that_ends_well() {
        assert_eq!(sh("echo a; echo b", Duration::from_secs(30)).unwrap(), ["a", "b"]);
    }

    #[test]
    fn a_process_that_fails_is_an_error() {
        assert!(sh("echo a; exit 3", Duration::from_secs(30)).is_err());
    }

    #[test]
    fn a_process_that_hangs_is_an_error_and_is_killed() {
        assert!(sh("exec sleep 600", Duration::from_millis(50)).is_err());
        assert!(sh("exec >&-; exec sleep 600", Duration::from_millis(50)).is_err());
    }
}
