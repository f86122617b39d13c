//! Adding an entry once: what a producer has added is remembered by the server (`XADD … IDMP`).

use std::collections::HashMap;

use fred::interfaces::{ClientLike, StreamsInterface};
use fred::types::{CustomCommand, Value};
use tracing::debug;

use super::stream_client::StreamClient;
use super::{Code, CommandError};

/// How many ids the server remembers of each producer: the most it can. Its own default of 100 is less than one batch.
const REMEMBERED_IDS: i64 = 10_000;

/// For how many seconds it remembers them. An outage that takes longer is bridged by nobody's retries.
const REMEMBERED_SECONDS: i64 = 3_600;

/// A group that exists for a moment, since nothing else makes an empty stream.
const MAKING_GROUP: &str = "events-making";

impl StreamClient {
    /// Has the server remember enough, once per connection and before anything is added: it forgets what it remembers
    /// when that is changed. What is set to more by others stays.
    ///
    /// Without the rights for it the server remembers as much as it does by itself.
    pub(crate) async fn widen_memory(&self) {
        let widened = async {
            let (ids, seconds) = match self.memory().await? {
                Some(memory) => memory,
                None => {
                    self.make_stream().await?;
                    (0, 0)
                }
            };
            if ids >= REMEMBERED_IDS && seconds >= REMEMBERED_SECONDS {
                return Ok(());
            }
            let command = CustomCommand::new_static("XCFGSET", self.key(), false);
            let (ids, seconds) = (ids.max(REMEMBERED_IDS), seconds.max(REMEMBERED_SECONDS));
            let arguments: Vec<Value> = vec![
                self.key().into(),
                "IDMP-DURATION".into(),
                seconds.into(),
                "IDMP-MAXSIZE".into(),
                ids.into(),
            ];
            self.client("XCFGSET")
                .await?
                .custom::<(), _>(command, arguments)
                .await
                .map_err(self.failed("XCFGSET"))
        };
        if let Err(error) = widened.await {
            debug!(key = self.key(), %error, "the server remembers only as many ids as it does by itself");
        }
    }

    /// How many ids the server remembers and for how many seconds; `None` without a stream.
    async fn memory(&self) -> Result<Option<(i64, i64)>, CommandError> {
        let info = self.client("XINFO STREAM").await?.xinfo_stream::<Value, _>(self.key(), false, None).await;
        let info = match info.map_err(self.failed("XINFO STREAM")) {
            Ok(info) => info,
            Err(error) if error.code() == Code::NoKey => return Ok(None),
            Err(error) => return Err(error),
        };
        let fields: HashMap<String, Value> = info.convert().map_err(self.failed("XINFO STREAM"))?;
        let number = |name| fields.get(name).and_then(Value::as_i64).unwrap_or_default();
        Ok(Some((number("idmp-maxsize"), number("idmp-duration"))))
    }

    async fn make_stream(&self) -> Result<(), CommandError> {
        self.create_group(MAKING_GROUP, None).await?;
        let destroyed =
            self.client("XGROUP").await?.xgroup_destroy::<(), _, _>(self.key(), MAKING_GROUP).await;
        destroyed.map_err(self.failed("XGROUP"))
    }
}
