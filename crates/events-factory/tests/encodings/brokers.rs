//! The backends, each with streams of the test's own.

use std::process::Command;

use events_core::wire::Encoding;
use events_factory::{ConfigLoader, EventsConfig};
use tempfile::TempDir;
use test_servers::{AwsEmulator, AwsEmulatorKind, RedisServer};

/// A column of the table.
#[derive(Debug)]
pub(crate) enum Broker {
    Memory,
    Sqlite(TempDir),
    Redis(RedisServer),
    /// A queue that is published to.
    Queue(AwsEmulator),
    /// A topic, and a queue that is subscribed to it.
    Topic(AwsEmulator),
}

impl Broker {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(TempDir::new().unwrap())
    }

    pub(crate) fn redis() -> Self {
        Self::Redis(RedisServer::start().unwrap())
    }

    pub(crate) fn queue() -> Self {
        Self::Queue(AwsEmulator::start(AwsEmulatorKind::Ministack).unwrap())
    }

    pub(crate) fn topic() -> Self {
        Self::Topic(AwsEmulator::start(AwsEmulatorKind::Ministack).unwrap())
    }

    /// A configuration as flags give it, for a stream nobody has used yet.
    pub(crate) fn config(&self, what: &str, encoding: Encoding) -> EventsConfig {
        let stream = format!("{encoding}-{what}");
        let mut loader = ConfigLoader::new()
            .with_override("stream_key", &stream, "--stream-key")
            .with_override("consumer_group", "g", "--consumer-group")
            .with_override("encoding", encoding.as_str(), "--encoding");
        for (key, value) in self.address(&stream) {
            loader = loader.with_override(key, &value, "--url");
        }
        loader.load().unwrap().into_config()
    }

    fn address(&self, stream: &str) -> Vec<(&'static str, String)> {
        let queue = |emulator: &AwsEmulator| format!("{}/000000000000/{stream}", emulator.url());
        match self {
            Self::Memory => vec![("url", "memory:encodings".to_owned())],
            Self::Sqlite(directory) => {
                vec![("url", format!("sqlite:{}", directory.path().join("events.db").display()))]
            }
            Self::Redis(redis) => vec![("url", redis.url().to_owned())],
            Self::Queue(emulator) => {
                vec![("url", format!("sqs:{}", queue(emulator))), ("aws.poll_wait", "1s".to_owned())]
            }
            Self::Topic(emulator) => vec![
                ("url", format!("sns:arn:aws:sns:us-east-1:000000000000:{stream}")),
                ("aws.queue_url", queue(emulator)),
                ("aws.poll_wait", "1s".to_owned()),
            ],
        }
    }

    /// Whether messages are a body of text and at most ten attributes.
    pub(crate) fn is_queue(&self) -> bool {
        matches!(self, Self::Queue(_) | Self::Topic(_))
    }

    /// Whether there is no publisher for this encoding at all.
    pub(crate) fn refuses(&self, encoding: Encoding) -> bool {
        self.is_queue() && matches!(encoding, Encoding::FastStream | Encoding::FastStreamJson)
    }
}

/// The variables the AWS SDK takes credentials from; emulators take any.
const CREDENTIALS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];

/// Runs a test in a process that has credentials: a process cannot change its own environment while it has threads.
pub(crate) fn with_credentials(name: &str, test: impl AsyncFnOnce()) {
    if CREDENTIALS.iter().all(|(variable, _)| std::env::var_os(variable).is_some()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        return runtime.unwrap().block_on(test());
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args(["--exact", name, "--nocapture"]).envs(CREDENTIALS).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
}
