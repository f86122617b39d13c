//! `ServerProcess`: one server program running for a test, with the signals a fault test needs.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::program;
use crate::spawner;

/// How long a server may take to end after SIGTERM before that counts as a failure.
pub const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// A running program whose output goes to a file. Dropping it kills it; where `setpriv` exists (Linux), so does the
/// death of this process, however that comes.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts `program` in `directory`; its standard output and error go to `server.log` there, which is begun anew.
    ///
    /// # Errors
    /// When the program cannot be started or the log cannot be written.
    pub fn spawn<S: AsRef<OsStr>>(program: &Path, arguments: &[S], directory: &Path) -> Result<Self> {
        let log = directory.join("server.log");
        let output = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut command = dying_with_its_parent(program);
        command
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("cannot duplicate the log's handle")?)
            .stderr(output);
        let child = spawner::spawn(command).with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, log })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, or `None` while it runs (a frozen process runs).
    ///
    /// # Errors
    /// When the system refuses to tell.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("cannot ask whether the server has ended")
    }

    /// Ends it at once with SIGKILL and waits until it is gone. Nothing happens when it has ended already.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("cannot kill the server")?;
        self.child.wait().context("cannot wait for the server")?;
        Ok(())
    }

    /// Asks it to end with SIGTERM and waits until it has, at most [`STOP_DEADLINE`].
    ///
    /// # Errors
    /// When the signal cannot be sent, or the process is still there at the deadline.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + STOP_DEADLINE;
        loop {
            if let Some(status) = self.exit_status()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("the server did not end within {STOP_DEADLINE:?} of SIGTERM:\n{}", self.log_tail());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Freezes it with SIGSTOP: connections stay open, nothing answers.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn freeze(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen process continue, with SIGCONT.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn thaw(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// The last lines the server wrote, for messages about what went wrong.
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Takes `&mut self` because a process id is only ours until the child has been reaped.
    fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.exit_status()? {
            bail!("the server has ended already ({status}):\n{}", self.log_tail());
        }
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, signal).with_context(|| format!("cannot send {signal:?} to the server"))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // There is nobody to tell: the process is gone already, or the system refuses.
        drop(self.kill());
    }
}

/// `setpriv` replaces itself by the program, so the process id is the program's.
fn dying_with_its_parent(program: &Path) -> Command {
    match program::on_path("setpriv") {
        Some(setpriv) if cfg!(target_os = "linux") => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        _ => Command::new(program),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(directory: &Path) -> ServerProcess {
        ServerProcess::spawn(Path::new("sleep"), &["600"], directory).unwrap()
    }

    #[test]
    fn a_signal_to_an_ended_process_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let mut server = sleeper(directory.path());
        assert!(!server.stop().unwrap().success());
        assert!(server.freeze().is_err());
        assert!(server.stop().is_err());
    }

    #[test]
    fn keeps_what_the_program_wrote() {
        let directory = tempfile::tempdir().unwrap();
        let arguments = ["-c", "echo out; echo err >&2"];
        let mut server = ServerProcess::spawn(Path::new("sh"), &arguments, directory.path()).unwrap();
        while server.exit_status().unwrap().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(server.log_tail(), "out\nerr");
    }
}
