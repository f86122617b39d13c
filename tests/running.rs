//! A program under test while it runs: its lines as they come, its signals, its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before a test gives up on it.
const DEADLINE: Duration = Duration::from_secs(60);

/// Lines that wait unread; small, so that a test that stops taking lines makes the program wait in its writes.
const UNREAD_LINES: usize = 1;

/// Half of what a pipe usually holds. It never holds all of its 64 KiB: pages that are read or written in part count whole.
const HALF_A_PIPE: u64 = 32 * 1024;

/// How long nothing more comes from a program that cannot write.
const STUCK: Duration = Duration::from_millis(200);

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    /// The reading end of its standard output, only to look at.
    pipe: OwnedFd,
    errors: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts it with pipes on its standard output and error, and nothing on its standard input.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null());
        Self::spawn(command)
    }

    /// Starts it and writes `input` to its standard input, to the end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with_input(mut command: Command, input: impl Into<Vec<u8>>) -> Result<Self> {
        command.stdin(Stdio::piped());
        let mut running = Self::spawn(command)?;
        let mut stdin = running.child.stdin.take().context("the program has no standard input")?;
        let input = input.into();
        // A program that ends before it has read everything is for the test to notice, by status and output.
        thread::spawn(move || drop(stdin.write_all(&input)));
        Ok(running)
    }

    fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let stdout = child.stdout.take().context("the program has no standard output")?;
        let mut stderr = child.stderr.take().context("the program has no standard error")?;
        let pipe = stdout.as_fd().try_clone_to_owned().context("cannot look at the pipe")?;
        let (sender, lines) = mpsc::sync_channel(UNREAD_LINES);
        thread::spawn(move || {
            for line in BufReader::with_capacity(1024, stdout).lines().map_while(|line| line.ok()) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            drop(stderr.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Self { child, lines, pipe, errors: Some(errors) })
    }

    /// The next line of its standard output; `None` at the end.
    ///
    /// # Errors
    /// When no line comes in time.
    pub fn line(&mut self) -> Result<Option<String>> {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("no line within {DEADLINE:?}"),
        }
    }

    /// The next `count` lines.
    ///
    /// # Errors
    /// When fewer come before the end, or in time.
    pub fn take_lines(&mut self, count: usize) -> Result<Vec<String>> {
        (0..count).map(|at| self.line()?.with_context(|| format!("it ended after {at} lines"))).collect()
    }

    /// Waits until it cannot write more because nobody reads: it is in the middle of a batch then, and stays there.
    ///
    /// # Errors
    /// When it does not print that much in time.
    pub fn wait_until_stuck(&mut self) -> Result<()> {
        let deadline = Instant::now() + DEADLINE;
        let (mut held, mut since) = (0, Instant::now());
        while held < HALF_A_PIPE || since.elapsed() < STUCK {
            let now_held = ioctl_fionread(&self.pipe)?;
            if now_held != held {
                (held, since) = (now_held, Instant::now());
            }
            if Instant::now() > deadline {
                bail!("its output does not fill a pipe: {held} bytes");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("it has ended already: {status}");
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, signal).context("cannot send the signal")
    }

    /// Stops reading its standard output for good, as `head` does.
    ///
    /// # Errors
    /// When the handle that only looks at the pipe cannot be let go.
    pub fn close_output(&mut self) -> Result<()> {
        let (_, closed) = mpsc::sync_channel(0);
        self.lines = closed;
        self.pipe = std::fs::File::open("/dev/null").context("cannot open /dev/null")?.into();
        Ok(())
    }

    /// Takes what it still prints and waits for its end: the lines, the exit status, and what it said on standard error.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn finish(mut self) -> Result<Finished> {
        let mut lines = Vec::new();
        while let Some(line) = self.line()? {
            lines.push(line);
        }
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                bail!("it does not end, though its output has");
            }
            thread::sleep(Duration::from_millis(2));
        };
        let errors = self.errors.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Ok(Finished { lines, status, errors })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // There is nobody to tell: the process is gone already, or the system refuses.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a program left.
#[derive(Debug)]
pub struct Finished {
    /// What it printed after the last line that was taken.
    pub lines: Vec<String>,
    /// How it ended.
    pub status: ExitStatus,
    /// What it said on standard error.
    pub errors: String,
}

impl Finished {
    /// The lines of a program that ended well.
    ///
    /// # Errors
    /// What it said on standard error, when it did not.
    pub fn success(self) -> Result<Vec<String>> {
        if !self.status.success() {
            bail!("{}: {}", self.status, self.errors);
        }
        Ok(self.lines)
    }
}
