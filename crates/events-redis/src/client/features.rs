//! `Features`: what a server offers beyond the commands of Redis 6.2, found out once per connection.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use fred::clients::Client;
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::config::Server;
use fred::types::{CustomCommand, Value};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tracing::debug;

use super::CommandError;
use super::stream_client::StreamClient;

/// Major, minor and patch.
type Release = (u64, u64, u64);

/// Before it `XACKDEL` could be made to write beyond its memory (CVE-2025-62507).
const SOUND_ACKDEL: Release = (8, 2, 3);

/// Before it the ids of events published before were forgotten or kept wrongly after a restart.
const SOUND_IDMP: Release = (8, 6, 2);

/// What a server offers beyond the commands of Redis 6.2.
///
/// Nothing depends on it but the way in which a thing is done: what is missing is done by older commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    /// `XNACK`: an entry is nobody's again at once, and readers that wait are woken.
    pub(crate) nack: bool,
    /// `XACKDEL … ACKED`: what every group has acknowledged is deleted.
    pub(crate) delete_acked: bool,
    /// `XADD … IDMP`: what was added before is not added again.
    pub(crate) idempotent: bool,
}

impl Features {
    /// What `COMMAND INFO XNACK XACKDEL XCFGSET` was answered with by a server of this version.
    fn of(reply: Value, version: Option<Release>) -> Option<Self> {
        let Value::Array(known) = reply else { return None };
        let [nack, delete, configure] = known.as_slice() else { return None };
        // One that is not known is nil, or nothing in some versions of the protocol.
        let knows = |command: &Value| matches!(command, Value::Array(parts) if !parts.is_empty());
        let since = |sound: Release| version.is_some_and(|version| version >= sound);
        Some(Self {
            nack: knows(nack),
            delete_acked: knows(delete) && since(SOUND_ACKDEL),
            idempotent: knows(configure) && since(SOUND_IDMP),
        })
    }
}

/// Counts the connections of a client: what was true of a server may be false of the one that follows it.
#[derive(Debug)]
pub(super) struct Incarnation {
    reconnected: Mutex<Receiver<Server>>,
    count: AtomicU64,
}

impl Incarnation {
    pub(super) fn new(client: &Client) -> Self {
        Self { reconnected: Mutex::new(client.reconnect_rx()), count: AtomicU64::new(0) }
    }

    /// The number of the present connection. The client announces a new one before anything is answered on it.
    pub(super) fn current(&self) -> u64 {
        let mut reconnected = self.reconnected.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match reconnected.try_recv() {
                Ok(_) | Err(TryRecvError::Lagged(_)) => self.count.fetch_add(1, Ordering::AcqRel),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return self.count.load(Ordering::Acquire),
            };
        }
    }
}

/// What is known of the server behind a connection.
#[derive(Debug)]
pub(super) struct Probe {
    incarnation: Incarnation,
    known: Mutex<Option<(u64, Features)>>,
    /// Whether the reads of the consumer this is for take expired entries along.
    reads_claim: AtomicBool,
}

impl Probe {
    pub(super) fn new(client: &Client) -> Self {
        Self {
            incarnation: Incarnation::new(client),
            known: Mutex::default(),
            reads_claim: AtomicBool::new(false),
        }
    }
}

/// Whether reads may ask for expired entries as well (`XREADGROUP … CLAIM`), which is found out by trying once on each
/// connection: no command tells it of every server.
#[derive(Debug)]
pub(super) struct Claiming {
    incarnation: Incarnation,
    /// For which connection it is known, and what.
    known: Mutex<Option<(u64, bool)>>,
}

impl Claiming {
    pub(super) fn new(client: &Client) -> Self {
        Self { incarnation: Incarnation::new(client), known: Mutex::default() }
    }

    /// The number of the present connection.
    pub(super) fn connection(&self) -> u64 {
        self.incarnation.current()
    }

    fn known(&self, connection: u64) -> Option<bool> {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.filter(|(number, _)| *number == connection).map(|(_, claims)| claims)
    }

    pub(super) fn is_worth_trying(&self, connection: u64) -> bool {
        self.known(connection) != Some(false)
    }

    pub(super) fn is_known(&self, connection: u64) -> bool {
        self.known(connection) == Some(true)
    }

    pub(super) fn learn(&self, connection: u64, claims: bool) {
        if self.known(connection) != Some(claims) {
            debug!(claims, "whether reads take expired entries along");
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((connection, claims));
        }
    }
}

impl StreamClient {
    /// The number of the present connection.
    pub(super) fn connection(&self) -> u64 {
        self.probe.incarnation.current()
    }

    /// What the server offers; nothing as long as it cannot be asked.
    pub(crate) async fn features(&self) -> Features {
        self.offered().await.unwrap_or_else(|error| {
            debug!(key = self.key(), %error, "what the server offers is not known yet");
            Features::default()
        })
    }

    /// What the server offers. It is asked once per connection; one that refuses to say offers nothing.
    ///
    /// # Errors
    ///
    /// What keeps the server from answering now.
    pub(crate) async fn offered(&self) -> Result<Features, CommandError> {
        let connection = self.connection();
        let known = *self.probe.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, features)) = known
            && asked == connection
        {
            return Ok(features);
        }
        let features = match self.ask_for_features().await {
            Ok(features) => features,
            Err(error) if events_core::Error::from(error.clone()).is_transient() => return Err(error),
            Err(error) => {
                debug!(key = self.key(), %error, "the server does not say what it offers");
                Features::default()
            }
        };
        debug!(key = self.key(), ?features, "what the server offers");
        *self.probe.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((connection, features));
        Ok(features)
    }

    /// Notes for all clones whether the reads of this consumer take expired entries along.
    pub(crate) fn set_reads_claim(&self, claim: bool) {
        self.probe.reads_claim.store(claim, Ordering::Release);
    }

    /// Whether this consumer's reads find by themselves what is nobody's.
    pub(crate) fn reads_claim(&self) -> bool {
        self.probe.reads_claim.load(Ordering::Acquire)
    }

    async fn ask_for_features(&self) -> Result<Features, CommandError> {
        let command = CustomCommand::new_static("COMMAND", self.key(), false);
        let client = self.client("COMMAND INFO").await?;
        let asked: Result<Value, _> =
            client.custom(command, vec!["INFO", "XNACK", "XACKDEL", "XCFGSET"]).await;
        let reply = asked.map_err(self.failed("COMMAND INFO"))?;
        let version = self.link().client().server_version();
        let release = version.map(|version| (version.major, version.minor, version.patch));
        Features::of(reply, release).ok_or_else(|| self.unreadable("COMMAND INFO"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_counts_where_the_version_has_it_right() {
        let command = || Value::Array(vec![Value::from_static_str("xnack"), Value::Integer(-7)]);
        let all = || Value::Array(vec![command(), command(), command()]);
        let everything = Features { nack: true, delete_acked: true, idempotent: true };
        assert_eq!(Features::of(all(), Some((8, 10, 2))), Some(everything));
        let early = Features { idempotent: false, ..everything };
        assert_eq!(Features::of(all(), Some((8, 6, 1))), Some(early));
        let unsound = Features { delete_acked: false, ..early };
        assert_eq!(Features::of(all(), Some((8, 2, 2))), Some(unsound));
        assert_eq!(Features::of(all(), None), Some(unsound));
        let old = Value::Array(vec![Value::Null, Value::Array(Vec::new()), Value::Null]);
        assert_eq!(Features::of(old, Some((7, 0, 15))), Some(Features::default()));
        assert_eq!(Features::of(Value::Null, None), None);
    }
}
