//! Keys that say that an event was handled, each with a time to live.

use std::time::Duration;

use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};

use super::error::CommandError;
use super::stream_client::StreamClient;
use crate::membership::milliseconds;

impl StreamClient {
    /// Whether the key is there.
    pub(crate) async fn is_there(&self, key: String) -> Result<bool, CommandError> {
        let command = CustomCommand::new_static("EXISTS", ClusterHash::FirstKey, false);
        let client = self.client("EXISTS").await?;
        let found: i64 = client.custom(command, vec![key]).await.map_err(self.failed("EXISTS"))?;
        Ok(found > 0)
    }

    /// Sets the key, to be there for as long.
    pub(crate) async fn keep_there(&self, key: String, keep: Duration) -> Result<(), CommandError> {
        let command = CustomCommand::new_static("SET", ClusterHash::FirstKey, false);
        let arguments: Vec<Value> =
            vec![key.into(), "1".into(), "PX".into(), milliseconds(keep).max(1).to_string().into()];
        self.client("SET").await?.custom::<(), _>(command, arguments).await.map_err(self.failed("SET"))
    }
}
