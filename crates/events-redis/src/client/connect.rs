//! Connections: how the client is set up, and how starting tells a server that is away from one that refuses.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use events_core::{Error, ErrorKind, Observer, Result};
use fred::clients::Client;
use fred::interfaces::{ClientLike, EventInterface};
use fred::socket2::TcpKeepalive;
use fred::types::Builder;
use fred::types::config::{
    ClusterDiscoveryPolicy, Config, ConnectionConfig, PerformanceConfig, ReconnectError, ReconnectPolicy,
    Server, ServerConfig, TcpConfig, UnresponsiveConfig,
};
use futures_util::FutureExt as _;
use socket2 as _;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, error, warn};

use super::{Code, CommandError};
use crate::RedisConfig;
use crate::address::{Address, Node, Topology};

/// A connection that is closed by then is abandoned; nothing of ours is on its way any more.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// What a connection is for, which decides how long it may stay silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Commands that are answered at once.
    Commands,
    /// Reads that block at the server; whoever reads watches over them.
    Reads,
}

/// One client, connected or reconnecting for as long as a clone of this lives.
#[derive(Clone)]
pub(crate) struct Link {
    client: Client,
    /// Ends the client's tasks with the last clone; `None` for a client that belongs to somebody else.
    task: Option<Arc<ClientTask>>,
    refused: Refused,
    observer: Observing,
}

/// Why the server does not let a client in that it let in before; empty while it does.
type Refused = Arc<Mutex<Option<fred::error::Error>>>;

/// Who is told of connections that are made anew; nobody yet while it is empty.
type Observing = Arc<OnceLock<Arc<dyn Observer>>>;

struct ClientTask {
    connection: JoinHandle<Result<(), fred::error::Error>>,
    watch: Option<JoinHandle<()>>,
}

impl ClientTask {
    fn new(connection: JoinHandle<Result<(), fred::error::Error>>) -> Self {
        Self { connection, watch: None }
    }
}

impl Drop for ClientTask {
    fn drop(&mut self) {
        self.connection.abort();
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

/// Notes why the server refuses the client, which goes on trying, and says it once; tells of connections made anew.
async fn watch(client: Client, refused: Refused, observer: Observing, mut was_connected: bool) {
    let (mut errors, mut connected) = (client.error_rx(), client.reconnect_rx());
    let set = |error| std::mem::replace(&mut *refused.lock().unwrap_or_else(PoisonError::into_inner), error);
    loop {
        tokio::select! {
            error = errors.recv() => match error {
                Ok((error, _)) => {
                    if let Err(refusal) = refusal(error.clone()) && set(Some(error)).is_none() {
                        error!(error = %in_words(&refusal), "redis refuses the connection; trying on");
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            again = connected.recv() => match again {
                Ok(_) => {
                    drop(set(None));
                    // The first connection is announced like all others.
                    if std::mem::replace(&mut was_connected, true) && let Some(observer) = observer.get() {
                        observer.reconnected();
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}

/// An error and its cause, for a log.
fn in_words(error: &Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("id", &self.client.id()).field("own", &self.task.is_some()).finish()
    }
}

impl Link {
    /// Connects, or goes on trying in the background when the server is not there within `connect_timeout`.
    ///
    /// # Errors
    ///
    /// What no waiting mends: refused credentials and settings the client cannot use.
    pub(crate) async fn connect(config: &RedisConfig, role: Role) -> Result<Self> {
        let address = config.address()?;
        let mut builder = Builder::from_config(client_config(&address, config)?);
        set_patience(&mut builder, config, role);
        Self::start(&mut builder, config.connect_timeout, role).await
    }

    /// A client that belongs to somebody else: used as it is and never closed.
    pub(crate) fn foreign(client: Client) -> Self {
        Self { client, task: None, refused: Refused::default(), observer: Observing::default() }
    }

    /// A connection of our own to where this client is connected.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub(crate) async fn another(&self, config: &RedisConfig, role: Role) -> Result<Self> {
        let mut builder = Builder::from_config(self.client.client_config());
        set_patience(&mut builder, config, role);
        Self::start(&mut builder, config.connect_timeout, role).await
    }

    /// Connects by two clients of which one stays: the first tries at once and says what is wrong, the second goes on
    /// trying for ever. One alone does not do both, since the one that goes on pauses before its first try.
    async fn start(builder: &mut Builder, patience: Duration, role: Role) -> Result<Self> {
        let until = Instant::now() + patience;
        let client = build(builder, true)?;
        // Dropped before it is connected, the task ends the connection it may still get.
        let mut task = ClientTask::new(client.connect());
        let connected = async {
            tokio::select! {
                connected = next_connection(&client) => connected,
                ended = &mut task.connection => ended.unwrap_or_else(|error| Err(std::io::Error::other(error).into())),
            }
        };
        match timeout_at(until, connected).await {
            Ok(Ok(())) => return Ok(Self::watched(client, task, true)),
            Ok(Err(error)) => refusal(error)?,
            Err(_) => {}
        }
        drop(task);

        let client = build(builder, false)?;
        let mut errors = client.error_rx();
        let task = ClientTask::new(client.connect());
        let link = Self::watched(client, task, false);
        let refused = async {
            loop {
                match errors.recv().await {
                    Ok((error, _)) => refusal(error)?,
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        let connected = async {
            tokio::select! {
                connected = next_connection(&link.client) => connected.or_else(refusal),
                refused = refused => refused,
            }
        };
        match timeout_at(until, connected).await {
            Ok(outcome) => outcome?,
            Err(_) => {
                // A consumer's two connections go to the same place: one of them says it.
                if role == Role::Commands {
                    warn!(waited = ?patience, servers = ?link.servers(), "redis is not there; connecting goes on in the background");
                }
            }
        }
        Ok(link)
    }

    fn watched(client: Client, mut task: ClientTask, connected: bool) -> Self {
        let (refused, observer) = (Refused::default(), Observing::default());
        let watching = watch(client.clone(), Arc::clone(&refused), Arc::clone(&observer), connected);
        task.watch = Some(tokio::spawn(watching));
        Self { client, task: Some(Arc::new(task)), refused, observer }
    }

    /// Tells `observer` of every connection of our own that is made anew from here on; only the first one counts.
    pub(crate) fn observe(&self, observer: Arc<dyn Observer>) {
        self.observer.set(observer).ok();
    }

    /// The error, or the refusal behind it when the connection is lost because the server does not let the client in.
    pub(crate) fn explain(&self, error: CommandError) -> CommandError {
        if !matches!(error.code(), Code::Disconnected | Code::TimedOut) {
            return error;
        }
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.as_ref().map_or(error.clone(), |refusal| error.because(refusal.clone()))
    }

    /// Whether the server does not let the client in.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    fn servers(&self) -> Vec<String> {
        self.client.client_config().server.hosts().iter().map(ToString::to_string).collect()
    }

    /// Ends a connection of our own; what is on its way is answered before.
    pub(crate) async fn quit(&self) {
        if self.task.is_none() {
            return;
        }
        match timeout(QUIT_TIMEOUT, self.client.quit()).await {
            Ok(Ok(())) => {}
            // The client's task ends with the last clone of this value in any case.
            Ok(Err(error)) => debug!(%error, "the connection ended before it was closed"),
            Err(_) => debug!("the server did not confirm the end of the connection"),
        }
    }
}

/// Waits for a connection. The client's own way to do that looks for one and listens afterwards, and would wait for ever for
/// one that came in between.
pub(super) async fn next_connection(client: &Client) -> Result<(), fred::error::Error> {
    let mut next = pin!(client.wait_for_connect());
    if let Some(outcome) = next.as_mut().now_or_never() {
        return outcome;
    }
    // By now it listens.
    if client.is_connected() { Ok(()) } else { next.await }
}

fn build(builder: &mut Builder, fail_fast: bool) -> Result<Client> {
    builder.with_config(|config| config.fail_fast = fail_fast);
    builder.build().map_err(|error| CommandError::new("connect", "", error).into())
}

/// The error, if no waiting mends it; anything else is worth another try.
fn refusal(error: fred::error::Error) -> Result<()> {
    let error = CommandError::new("connect", "", error);
    debug!(%error, "cannot connect yet");
    let error = Error::from(error);
    if error.is_transient() || error.kind() == ErrorKind::Backend { Ok(()) } else { Err(error) }
}

#[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "only TLS has settings"))]
fn client_config(address: &Address, settings: &RedisConfig) -> Result<Config> {
    let server = match &address.topology {
        Topology::Single((host, port)) => ServerConfig::new_centralized(host.as_str(), *port),
        Topology::Cluster(nodes) => {
            ServerConfig::Clustered { hosts: servers(nodes), policy: ClusterDiscoveryPolicy::ConfigEndpoint }
        }
        Topology::Sentinel { nodes, service, username, password } => ServerConfig::Sentinel {
            hosts: servers(nodes),
            service_name: service.clone(),
            username: username.clone(),
            password: password.as_ref().map(|password| password.expose().to_owned()),
        },
    };
    #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "only TLS changes it afterwards"))]
    let mut config = Config {
        server,
        username: address.username.clone(),
        password: address.password.as_ref().map(|password| password.expose().to_owned()),
        database: address.database,
        ..Config::default()
    };
    if address.tls {
        #[cfg(feature = "tls")]
        {
            config.tls = Some(super::tls::connector(settings)?.into());
        }
        #[cfg(not(feature = "tls"))]
        return Err(Error::new(
            ErrorKind::InvalidConfig,
            "connect",
            "TLS was not compiled in; build with the feature `tls` of events-redis",
        ));
    }
    Ok(config)
}

fn servers(nodes: &[Node]) -> Vec<Server> {
    nodes.iter().map(|(host, port)| Server::new(host.as_str(), *port)).collect()
}

fn set_patience(builder: &mut Builder, config: &RedisConfig, role: Role) {
    let limit = config.command_timeout;
    builder.set_connection_config(ConnectionConfig {
        connection_timeout: limit,
        internal_command_timeout: limit,
        // The client does not watch a connection that is inside a blocking read; the reader does that itself.
        unresponsive: UnresponsiveConfig {
            max_timeout: Some(limit),
            interval: (limit / 5).min(Duration::from_secs(2)),
        },
        reconnect_errors: vec![
            ReconnectError::ClusterDown,
            ReconnectError::Loading,
            ReconnectError::MasterDown,
            ReconnectError::NoReplicas,
            ReconnectError::ReadOnly,
        ],
        tcp: TcpConfig {
            // Unset means Nagle's algorithm, which holds back small commands.
            nodelay: Some(true),
            keepalive: Some(TcpKeepalive::new().with_time(Duration::from_secs(30))),
            // What is written to a server that reads no more would wait for ever, and everything after it in memory.
            #[cfg(target_os = "linux")]
            user_timeout: Some(limit),
            ..TcpConfig::default()
        },
        ..ConnectionConfig::default()
    });
    builder.set_performance_config(PerformanceConfig {
        default_command_timeout: if role == Role::Commands { limit } else { Duration::ZERO },
        ..PerformanceConfig::default()
    });
    // Without a policy the client would leave commands unanswered once the server is gone; 0 is for ever.
    let mut policy = ReconnectPolicy::new_exponential(0, 50, 5_000, 2);
    policy.set_jitter(50);
    builder.set_policy(policy);
}
