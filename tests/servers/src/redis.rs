//! `RedisServer`: a Redis server of a test's own.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::startup::{PORTS_TRIED, Startup, await_answer};
use crate::{Port, RedisServerBuilder, Reply, RespConnection, ServerProcess, program};

/// A Redis server on its own port, with its own temporary directory; both go when the value is dropped.
///
/// Unless the builder is told another [generation](crate::ServerGeneration), the program is `$EVENTS_TEST_REDIS_SERVER`, else `redis-server` on the `PATH`, else the one that
/// `cargo xtask integration` provided.
#[derive(Debug)]
pub struct RedisServer {
    /// Declared before the directory, so that the process ends first.
    process: ServerProcess,
    program: PathBuf,
    options: RedisServerBuilder,
    ports: Ports,
    url: String,
    directory: TempDir,
}

#[derive(Debug)]
struct Ports {
    plain: Port,
    tls: Option<Port>,
}

impl RedisServer {
    /// Starts a server without persistence, password or TLS.
    ///
    /// # Errors
    /// As [`RedisServerBuilder::start`].
    pub fn start() -> Result<Self> {
        Self::builder().start()
    }

    /// A server with options.
    #[must_use]
    pub fn builder() -> RedisServerBuilder {
        RedisServerBuilder::default()
    }

    pub(crate) fn start_with(options: RedisServerBuilder) -> Result<Self> {
        let program = program::server_of(options.generation)?;
        let directory = program::server_directory()?;
        for _ in 0..PORTS_TRIED {
            let tls = options.tls.as_ref().map(|_| Port::reserve()).transpose()?;
            let ports = Ports { plain: Port::reserve()?, tls };
            let mut process = launch(&program, &options, &ports, directory.path())?;
            if await_answer(&mut process, ports.plain.number(), options.password.as_deref())?
                == Startup::Answers
            {
                let url = plain_url(&ports, &options);
                return Ok(Self { process, program, options, ports, url, directory });
            }
        }
        bail!("{PORTS_TRIED} ports in a row were taken by other programs")
    }

    /// Where the server listens without TLS: `redis://127.0.0.1:<port>`, with the password when there is one.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port without TLS.
    pub fn port(&self) -> u16 {
        self.ports.plain.number()
    }

    /// The port that speaks TLS, when the server was started with it.
    pub fn tls_port(&self) -> Option<u16> {
        self.ports.tls.as_ref().map(Port::number)
    }

    /// The server's process id. A restart changes it.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The server's directory, where its data lie.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Sends one command over a connection of its own: the truth to compare a client with. Commands that belong
    /// together, such as a write and its `WAIT`, take one [`RespConnection`].
    ///
    /// # Errors
    /// The server's error answer, or no answer within ten seconds.
    pub fn command<S: AsRef<str>>(&self, words: &[S]) -> Result<Reply> {
        RespConnection::connect(self.port(), self.options.password.as_deref())?.command(words)
    }

    /// Ends the server at once with SIGKILL: what it had not written to its append-only file is gone.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Asks the server to end with SIGTERM and waits until it has.
    ///
    /// # Errors
    /// When it has ended already, or does not within [`crate::STOP_DEADLINE`].
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.process.stop()
    }

    /// Freezes the server: its connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it has ended.
    pub fn freeze(&mut self) -> Result<()> {
        self.process.freeze()
    }

    /// Lets a frozen server continue.
    ///
    /// # Errors
    /// When it has ended.
    pub fn thaw(&mut self) -> Result<()> {
        self.process.thaw()
    }

    /// Starts the server again on the same port with the data it left, after stopping it when it still runs, and waits
    /// until it answers.
    ///
    /// # Errors
    /// When it does not come up, or its port was taken meanwhile.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.exit_status()?.is_none() {
            self.stop()?;
        }
        self.process = launch(&self.program, &self.options, &self.ports, self.directory.path())?;
        let password = self.options.password.as_deref();
        match await_answer(&mut self.process, self.ports.plain.number(), password)? {
            Startup::Answers => Ok(()),
            Startup::PortTaken => bail!("port {} was taken while the server was down", self.port()),
        }
    }
}

fn plain_url(ports: &Ports, options: &RedisServerBuilder) -> String {
    let credentials = options.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
    format!("redis://{credentials}127.0.0.1:{}", ports.plain.number())
}

fn launch(
    program: &Path,
    options: &RedisServerBuilder,
    ports: &Ports,
    directory: &Path,
) -> Result<ServerProcess> {
    let mut arguments: Vec<String> =
        ["--bind", "127.0.0.1", "--save", "", "--dir", "."].map(String::from).into();
    arguments.extend(["--port".to_owned(), ports.plain.number().to_string()]);
    if let Some(password) = &options.password {
        arguments.extend(["--requirepass".to_owned(), password.clone()]);
    }
    if let (Some(tls), Some(port)) = (&options.tls, &ports.tls) {
        arguments.extend(["--tls-port".to_owned(), port.number().to_string()]);
        arguments.extend(["--tls-auth-clients", "no"].map(String::from));
        let files = [
            ("--tls-cert-file", &tls.certificate),
            ("--tls-key-file", &tls.key),
            ("--tls-ca-cert-file", &tls.authority),
        ];
        for (option, file) in files {
            let file = file.canonicalize().with_context(|| format!("no file {}", file.display()))?;
            arguments.extend([option.to_owned(), file.display().to_string()]);
        }
    }
    arguments.extend(options.arguments.iter().cloned());
    ServerProcess::spawn(program, &arguments, directory)
}
