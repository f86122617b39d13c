//! `Line`: adds entries to a stream, in order.

use bytes::Bytes;
use events_core::MessageId;
use fred::clients::{Client, WithOptions};
use fred::interfaces::{ClientLike, StreamsInterface};
use fred::types::{CustomCommand, Key, Value};
use futures_util::stream::{FuturesOrdered, StreamExt};

use super::error::CommandError;
use super::stream_client::StreamClient;
use super::{reply, scripts};

type Result<T, E = CommandError> = std::result::Result<T, E>;

/// Fields of entries that are to be added.
pub(crate) type Fields = Vec<(Bytes, Bytes)>;

/// An entry that is to be added.
#[derive(Clone, Debug)]
pub(crate) struct NewEntry {
    /// What the server may remember it by.
    pub(crate) once: Option<Bytes>,
    pub(crate) fields: Fields,
}

/// A script spreads an entry's fields over Lua's stack, which holds 8,000 values.
const MAX_SCRIPTED_FIELDS: usize = 2_000;

/// A way to the server that was open when it was asked for.
///
/// The client sends commands in the order in which their futures are polled for the first time, and again in that order on
/// a new connection. Waiting for that connection, and asking the server behind it what it offers, come before: whoever
/// waits may be overtaken by one who comes later, so that only what goes on with a line at once keeps its place.
pub(crate) struct Line<'a> {
    stream: &'a StreamClient,
    client: WithOptions<Client>,
    /// Under whose name the server remembers what it adds.
    producer: Option<&'a str>,
}

impl StreamClient {
    /// Waits for a connection. With a `producer` the server remembers what it adds, if it can: an entry it remembers is not
    /// added again, and its id is that of the first time.
    ///
    /// # Errors
    ///
    /// There is no connection for as long as a command may take, or the server does not say what it offers.
    pub(crate) async fn line<'a>(&'a self, producer: Option<&'a str>) -> Result<Line<'a>> {
        let producer = match producer {
            Some(producer) if self.offered().await?.idempotent => Some(producer),
            _ => None,
        };
        Ok(Line { stream: self, client: self.client("XADD").await?, producer })
    }
}

impl Line<'_> {
    /// Adds entries in order and returns each one's id or refusal. They are on their way once this is polled.
    pub(crate) async fn add_many(&self, mut batch: Vec<NewEntry>) -> Vec<Result<MessageId>> {
        if batch.len() > 1 && batch.iter().all(|entry| entry.fields.len() <= MAX_SCRIPTED_FIELDS) {
            match self.add_by_script(&batch).await {
                Ok(Some(outcomes)) => return outcomes,
                Ok(None) => {}
                Err(error) => return batch.iter().map(|_| Err(error.clone())).collect(),
            }
        }
        if batch.len() == 1
            && let Some(single) = batch.pop()
        {
            return vec![self.add(single).await];
        }
        let adds: FuturesOrdered<_> = batch.into_iter().map(|entry| self.add(entry)).collect();
        adds.collect().await
    }

    async fn add_by_script(&self, batch: &[NewEntry]) -> Result<Option<Vec<Result<MessageId>>>> {
        let stream = self.stream;
        let (script, arguments) = script_to_add(batch, self.producer);
        let Some(reply) = stream.script_through(&self.client, script, arguments).await? else {
            return Ok(None);
        };
        let (refusal, ids) = reply::added(reply, batch.len()).ok_or_else(|| stream.unreadable("EVAL"))?;
        let refusal = fred::error::Error::new(fred::error::ErrorKind::Unknown, refusal);
        let mut outcomes: Vec<Result<MessageId>> = ids.into_iter().map(Ok).collect();
        outcomes.resize_with(batch.len(), || Err(CommandError::new("XADD", stream.key(), refusal.clone())));
        Ok(Some(outcomes))
    }

    async fn add(&self, NewEntry { once, fields }: NewEntry) -> Result<MessageId> {
        let key = self.stream.key();
        let added: Result<String, _> = match self.producer.zip(once) {
            Some((producer, once)) => {
                let command = CustomCommand::new_static("XADD", key, false);
                let mut arguments: Vec<Value> = vec![key.into(), "IDMP".into(), producer.into()];
                arguments.extend([Value::Bytes(once), "*".into()]);
                for (name, value) in fields {
                    arguments.extend([Value::Bytes(name), Value::Bytes(value)]);
                }
                self.client.custom(command, arguments).await
            }
            None => {
                let fields: Vec<(Key, Value)> =
                    fields.into_iter().map(|(name, value)| (name.into(), Value::Bytes(value))).collect();
                self.client.xadd(key, false, None, "*", fields).await
            }
        };
        added.map(MessageId::from).map_err(self.stream.failed("XADD"))
    }
}

/// The shortest script that adds these entries, and its arguments.
fn script_to_add(batch: &[NewEntry], producer: Option<&str>) -> (&'static str, Vec<Value>) {
    let only_body = |entry: &NewEntry| matches!(entry.fields.as_slice(), [(name, _)] if name == events_core::wire::BODY_FIELD.as_bytes());
    if producer.is_none() && batch.iter().all(only_body) {
        let bodies = batch.iter().flat_map(|entry| &entry.fields).map(|(_, body)| Value::Bytes(body.clone()));
        return (scripts::ADD_BODIES, bodies.collect());
    }
    let mut arguments: Vec<Value> = producer.map(Value::from).into_iter().collect();
    for NewEntry { once, fields } in batch {
        if producer.is_some() {
            arguments.push(Value::Bytes(once.clone().unwrap_or_default()));
        }
        arguments.push(Value::Integer(fields.len() as i64));
        for (name, value) in fields {
            arguments.extend([Value::Bytes(name.clone()), Value::Bytes(value.clone())]);
        }
    }
    (if producer.is_some() { scripts::ADD_ONCE } else { scripts::ADD_ENTRIES }, arguments)
}
