//! `Confirmation`: waiting until replicas and disks have what was just added (`WAIT`, `WAITAOF`).

use std::time::Duration;

use fred::interfaces::ClientLike;
use fred::types::config::Options;
use fred::types::{CustomCommand, Value};

use super::CommandError;
use super::stream_client::StreamClient;
use crate::RedisConfig;
use crate::membership::milliseconds;

/// Who must have an entry before it counts as added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confirmation {
    replicas: i64,
    aof: bool,
    timeout: Duration,
}

impl Confirmation {
    /// What the configuration asks for; `None` when the server's own answer is enough.
    pub(crate) fn of(config: &RedisConfig) -> Option<Self> {
        let (replicas, aof, timeout) =
            (i64::from(config.wait_replicas), config.wait_aof, config.wait_timeout);
        (replicas > 0 || aof).then_some(Self { replicas, aof, timeout })
    }

    fn command(&self) -> &'static str {
        if self.aof { "WAITAOF" } else { "WAIT" }
    }

    fn arguments(&self, timeout: Duration) -> Vec<i64> {
        let timeout = i64::try_from(milliseconds(timeout)).unwrap_or(i64::MAX);
        let aof = self.aof.then_some(1);
        aof.into_iter().chain([self.replicas, timeout]).collect()
    }

    /// Whether the reply says that enough have it.
    fn holds(&self, reply: &Value) -> Option<bool> {
        match reply {
            Value::Array(parts) => {
                let [own, replicas] = parts.as_slice() else { return None };
                Some(own.as_i64()? >= 1 && replicas.as_i64()? >= self.replicas)
            }
            count => Some(count.as_i64()? >= self.replicas),
        }
    }
}

impl StreamClient {
    /// The number of the present connection, to be named when what is added on it is confirmed.
    pub(crate) fn begin(&self) -> u64 {
        self.connection()
    }

    /// Waits until what was added since [`begin`](Self::begin) is confirmed.
    ///
    /// # Errors
    ///
    /// [`Code::Unconfirmed`](super::Code::Unconfirmed) when too few confirmed it in time, and what a command may fail with.
    pub(crate) async fn confirm(
        &self,
        confirmation: &Confirmation,
        connection: u64,
    ) -> Result<(), CommandError> {
        let name = confirmation.command();
        let reply = self.wait(confirmation, confirmation.timeout).await?;
        // The server answers for what came on the connection that asks: on another one for nothing.
        if self.connection() != connection {
            return Err(CommandError::disconnected(name, self.key()));
        }
        match confirmation.holds(&reply) {
            Some(true) => Ok(()),
            Some(false) => Err(CommandError::unconfirmed(name, self.key())),
            None => Err(self.unreadable(name)),
        }
    }

    /// Makes sure that the server can confirm, before anything is added for which it could not.
    ///
    /// # Errors
    ///
    /// What a server answers that does not know the command or writes no append-only file.
    pub(crate) async fn check_confirmation(&self, confirmation: &Confirmation) -> Result<(), CommandError> {
        // Whether they do it in time is not asked here.
        self.wait(confirmation, Duration::from_millis(1)).await.map(drop)
    }

    async fn wait(&self, confirmation: &Confirmation, timeout: Duration) -> Result<Value, CommandError> {
        let name = confirmation.command();
        // Not as a blocking command: it ends well before the client would take the connection for dead.
        let command = CustomCommand::new_static(name, self.key(), false);
        let patience = self.patience() + timeout;
        let once =
            Options { max_attempts: Some(1), fail_fast: true, timeout: Some(patience), ..Options::default() };
        self.client(name).await?;
        let client = self.link().client().with_options(&once);
        client.custom(command, confirmation.arguments(timeout)).await.map_err(self.failed(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_that_is_returned_decides() {
        let confirmation = |replicas, aof| {
            let config = RedisConfig::default().with_confirmation(replicas, aof, Duration::from_millis(70));
            Confirmation::of(&config)
        };
        assert!(confirmation(0, false).is_none());
        let replicas = confirmation(2, false).unwrap();
        assert_eq!(replicas.arguments(replicas.timeout), [2, 70]);
        assert_eq!(replicas.holds(&Value::Integer(2)), Some(true));
        assert_eq!(replicas.holds(&Value::Integer(1)), Some(false));
        let both = confirmation(1, true).unwrap();
        assert_eq!(both.arguments(both.timeout), [1, 1, 70]);
        let reply = |own, replicas| Value::Array(vec![Value::Integer(own), Value::Integer(replicas)]);
        assert_eq!(both.holds(&reply(1, 1)), Some(true));
        assert_eq!(both.holds(&reply(0, 1)), Some(false));
        assert_eq!(both.holds(&reply(1, 0)), Some(false));
        assert_eq!(both.holds(&Value::Null), None);
    }
}
