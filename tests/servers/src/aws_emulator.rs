//! `AwsEmulator`: an emulator of SNS and SQS of a test's own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::startup::PORTS_TRIED;
use crate::{Port, ServerProcess, program, startup};

/// How long one question to the emulator may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The programs that emulate AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AwsEmulatorKind {
    /// `ministack`: fast, and keeps queues over a restart that is no kill.
    Ministack,
    /// `moto_server`: slow, long in use, keeps nothing.
    Moto,
}

/// An emulator of SNS and SQS on its own port, with its own temporary directory; both go when the value is dropped.
///
/// The programs are `$EVENTS_TEST_MINISTACK` and `$EVENTS_TEST_MOTO`, else those that `cargo xtask integration`
/// provided. They take any credentials and any region.
#[derive(Debug)]
pub struct AwsEmulator {
    /// Declared before the directory, so that the process ends first.
    process: ServerProcess,
    kind: AwsEmulatorKind,
    program: PathBuf,
    port: Port,
    directory: TempDir,
}

impl AwsEmulator {
    /// Starts an emulator and waits until it answers.
    ///
    /// # Errors
    /// When there is no program (the error names the remedy), or it does not come up.
    pub fn start(kind: AwsEmulatorKind) -> Result<Self> {
        let program = match kind {
            AwsEmulatorKind::Ministack => program::find("EVENTS_TEST_MINISTACK", &[], "python/bin/ministack"),
            AwsEmulatorKind::Moto => program::find("EVENTS_TEST_MOTO", &[], "python/bin/moto_server"),
        }?;
        let directory = tempfile::Builder::new()
            .prefix("events-aws-")
            .tempdir()
            .context("cannot create a directory for a server")?;
        for _ in 0..PORTS_TRIED {
            let port = Port::reserve()?;
            let mut process = launch(kind, &program, port.number(), directory.path())?;
            if is_up(kind, &mut process, port.number())? {
                return Ok(Self { process, kind, program, port, directory });
            }
        }
        bail!("{PORTS_TRIED} ports in a row were taken by other programs")
    }

    /// Where the emulator listens: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Which program it is.
    pub fn kind(&self) -> AwsEmulatorKind {
        self.kind
    }

    /// Ends the emulator at once with SIGKILL: everything in it is gone.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Asks the emulator to end with SIGTERM and waits until it has. Ministack keeps what is in its queues.
    ///
    /// # Errors
    /// When it has ended already, or does not within [`crate::STOP_DEADLINE`].
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.process.stop()
    }

    /// Freezes the emulator: its connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it has ended.
    pub fn freeze(&mut self) -> Result<()> {
        self.process.freeze()
    }

    /// Lets a frozen emulator continue.
    ///
    /// # Errors
    /// When it has ended.
    pub fn thaw(&mut self) -> Result<()> {
        self.process.thaw()
    }

    /// Starts the emulator again on the same port with what it kept, after stopping it when it still runs, and waits
    /// until it answers.
    ///
    /// # Errors
    /// When it does not come up, or its port was taken meanwhile.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.exit_status()?.is_none() {
            self.stop()?;
        }
        self.process = launch(self.kind, &self.program, self.port(), self.directory.path())?;
        if !is_up(self.kind, &mut self.process, self.port.number())? {
            bail!("port {} was taken while the emulator was down", self.port());
        }
        Ok(())
    }
}

fn launch(kind: AwsEmulatorKind, program: &Path, port: u16, directory: &Path) -> Result<ServerProcess> {
    // The emulators read their settings from the environment; `env` sets them and becomes the program.
    let env = program::on_path("env").context("there is no program `env`")?;
    let port = port.to_string();
    let program = program.to_str().context("the program's path is not UTF-8")?;
    let state = directory.join("state");
    let arguments = match kind {
        AwsEmulatorKind::Ministack => vec![
            "BIND_HOST=127.0.0.1".to_owned(),
            format!("GATEWAY_PORT={port}"),
            "PERSIST_STATE=1".to_owned(),
            format!("STATE_DIR={}", state.display()),
            "LOG_LEVEL=WARNING".to_owned(),
            program.to_owned(),
        ],
        AwsEmulatorKind::Moto => {
            ["PYTHONUNBUFFERED=1", program, "-H", "127.0.0.1", "-p", &port].map(String::from).into()
        }
    };
    ServerProcess::spawn(&env, &arguments, directory)
}

/// Waits until the process answers; `false` when somebody else has its port.
fn is_up(kind: AwsEmulatorKind, process: &mut ServerProcess, port: u16) -> Result<bool> {
    let path = match kind {
        AwsEmulatorKind::Ministack => "/_ministack/health",
        AwsEmulatorKind::Moto => "/moto-api/",
    };
    let mut taken = false;
    startup::await_condition("the emulator does not answer", || {
        if let Some(status) = process.exit_status()? {
            let log = process.log_tail();
            if log.to_lowercase().contains("in use") {
                taken = true;
                return Ok(true);
            }
            bail!("the emulator ended at once ({status}):\n{log}");
        }
        Ok(answers(port, path).unwrap_or(false))
    })?;
    Ok(!taken)
}

/// Whether a request for `path` is answered with success.
fn answers(port: u16, path: &str) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    connection.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    connection.read_exact(&mut status)?;
    Ok(status.ends_with(b" 200"))
}
