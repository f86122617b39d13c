//! What the server says about a stream, its groups and their consumers.

use std::collections::HashMap;
use std::time::Duration;

use fred::interfaces::{ClientLike, StreamsInterface};
use fred::types::{CustomCommand, Value};

use super::error::CommandError;
use super::stream_client::StreamClient;
use super::{Code, reply};
use crate::entry_id::EntryId;
use crate::keys::notes_key;

type Result<T, E = CommandError> = std::result::Result<T, E>;

/// A stream, as far as it is not its groups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamInfo {
    pub(crate) length: u64,
    pub(crate) first: Option<EntryId>,
    /// The highest id the stream ever gave.
    pub(crate) last_generated: EntryId,
}

/// One consumer of a group.
#[derive(Debug)]
pub(crate) struct ConsumerInfo {
    pub(crate) name: String,
    pub(crate) pending: u64,
    /// Since it last asked for something; servers before 7.2 do not know.
    pub(crate) idle: Option<Duration>,
    /// Since it was last given something.
    pub(crate) inactive: Option<Duration>,
}

/// Counts entries after an id, up to a limit. `ARGV`: the id, the limit. Returns the number, or -1 for more.
const COUNT: &str = "\
local count, after, limit = 0, ARGV[1], tonumber(ARGV[2])
while count <= limit do
  local page = redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', 100)
  if #page == 0 then return count end
  count = count + #page
  after = page[#page][1]
end
return -1";

/// Beyond this a lag the server does not know is not counted: it reads every entry, about two milliseconds in all.
const MOST_COUNTED: i64 = 1_000;

impl StreamClient {
    /// The stream; an empty one when there is none.
    pub(crate) async fn info(&self) -> Result<StreamInfo> {
        let info = self.client("XINFO STREAM").await?.xinfo_stream::<Value, _>(self.key(), false, None).await;
        match info.map_err(self.failed("XINFO STREAM")) {
            Ok(value) => stream(value).ok_or_else(|| self.unreadable("XINFO STREAM")),
            Err(error) if error.code() == Code::NoKey => {
                Ok(StreamInfo { length: 0, first: None, last_generated: EntryId::ZERO })
            }
            Err(error) => Err(error),
        }
    }

    /// Removes the stream, its dead letters and what is noted of its groups.
    pub(crate) async fn remove_stream(&self) -> Result<()> {
        let notes = self.groups().await?.into_iter().map(|group| notes_key(self.key(), &group.name));
        let keys: Vec<String> =
            [self.key().to_owned(), (*self.dead_key).to_owned()].into_iter().chain(notes).collect();
        // All of them lie in one slot of a cluster.
        let command = CustomCommand::new_static("UNLINK", self.key(), false);
        let removed = self.client("UNLINK").await?.custom::<Value, _>(command, keys).await;
        removed.map(drop).map_err(self.failed("UNLINK"))
    }

    /// How many dead letters there are.
    pub(crate) async fn dead_letter_count(&self) -> Result<u64> {
        let count = self.client("XLEN").await?.xlen(&*self.dead_key).await;
        count.map_err(|error| CommandError::new("XLEN", &self.dead_key, error))
    }

    /// The consumers of a group, ordered by name.
    pub(crate) async fn consumers(&self, group: &str) -> Result<Vec<ConsumerInfo>> {
        let value =
            self.client("XINFO CONSUMERS").await?.xinfo_consumers::<Value, _, _>(self.key(), group).await;
        let value = value.map_err(self.failed("XINFO CONSUMERS"))?;
        let mut consumers = consumers(value).ok_or_else(|| self.unreadable("XINFO CONSUMERS"))?;
        consumers.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(consumers)
    }

    /// How many entries come after `after`, where the server has lost count or never counted: `None` where these are too
    /// many to be counted.
    pub(crate) async fn count_after(&self, after: EntryId) -> Result<Option<u64>> {
        let arguments = vec![after.to_string().into(), MOST_COUNTED.into()];
        let Some(reply) = self.script(COUNT, arguments).await? else { return Ok(None) };
        let count: i64 = reply.convert().map_err(self.failed("EVAL"))?;
        Ok(u64::try_from(count).ok())
    }
}

fn stream(value: Value) -> Option<StreamInfo> {
    let fields: HashMap<String, Value> = value.convert().ok()?;
    let first = match fields.get("first-entry") {
        Some(Value::Array(entry)) => Some(reply::id(entry.first()?)?),
        _ => None,
    };
    Some(StreamInfo {
        length: fields.get("length")?.as_u64()?,
        first,
        last_generated: reply::id(fields.get("last-generated-id")?)?,
    })
}

fn consumers(value: Value) -> Option<Vec<ConsumerInfo>> {
    let Value::Array(consumers) = value else { return None };
    let consumer = |item: Value| {
        let mut fields: HashMap<String, Value> = item.convert().ok()?;
        let idle = Duration::from_millis(fields.get("idle")?.as_u64()?);
        // Since 7.2 there are two times. Before, the one that is called idle was that of the last delivery.
        let (idle, inactive) = match fields.get("inactive").and_then(Value::as_i64) {
            Some(inactive) => (Some(idle), u64::try_from(inactive).ok().map(Duration::from_millis)),
            None => (None, Some(idle)),
        };
        let pending = fields.get("pending")?.as_u64()?;
        Some(ConsumerInfo { name: fields.remove("name")?.as_string()?, pending, idle, inactive })
    };
    consumers.into_iter().map(consumer).collect()
}
