//! Replies taken apart, so that one odd entry cannot spoil the reply it came in.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use events_core::MessageId;
use fred::types::Value;

use super::part::Part;
use crate::entry_id::EntryId;

/// One entry of a stream: names and values as they lie at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: EntryId,
    pub(crate) fields: Vec<(Bytes, Bytes)>,
}

/// What the server knows of one pending entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) id: EntryId,
    /// The consumer it was given last; `None` of one that was given back, which newer servers note as nobody's.
    pub(crate) consumer: Option<String>,
    /// Zero of what is nobody's.
    pub(crate) idle_ms: u64,
    /// How often it was delivered.
    pub(crate) count: u32,
}

impl Pending {
    /// How long it has been pending, as far as the server has not forgotten.
    pub(crate) fn idle(&self) -> Option<Duration> {
        self.consumer.as_ref().map(|_| Duration::from_millis(self.idle_ms))
    }
}

/// One page of taking over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    /// Where the next page begins; zero when the whole list was looked at.
    pub(crate) next: EntryId,
    pub(crate) entries: Vec<Entry>,
    /// How many were pending and no longer in the stream.
    pub(crate) gone: usize,
    /// Whether some of those are still pending, as servers before 7.0 leave them.
    pub(crate) gone_pending: bool,
}

/// How far a group is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GroupInfo {
    pub(crate) name: String,
    pub(crate) last_delivered: EntryId,
    pub(crate) pending: u64,
    pub(crate) lag: Option<u64>,
}

/// Entries, and how many places of the reply were empty because the entry is gone.
pub(super) fn entries(value: Value) -> Option<(Vec<Entry>, usize)> {
    let list = array(value)?;
    let (mut entries, mut gone) = (Vec::with_capacity(list.len()), 0);
    for item in list {
        match entry(item)? {
            Some(entry) => entries.push(entry),
            None => gone += 1,
        }
    }
    Some((entries, gone))
}

/// One entry; `Some(None)` when it is gone.
fn entry(value: Value) -> Option<Option<Entry>> {
    if value.is_null() { Some(None) } else { entry_of(array(value)?) }
}

/// As [`entry`], of its parts: the id, the fields, and what is told besides.
fn entry_of<P: Part>(parts: Vec<P>) -> Option<Option<Entry>> {
    let mut parts = parts.into_iter();
    let id = std::str::from_utf8(&parts.next()?.into_bytes()?).ok()?.parse().ok()?;
    let fields = parts.next()?;
    if fields.is_null() {
        return Some(None);
    }
    let fields = fields.into_list()?;
    let mut pairs = Vec::with_capacity(fields.len() / 2);
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        pairs.push((name.into_bytes()?, value.into_bytes()?));
    }
    Some(Some(Entry { id, fields: pairs }))
}

/// The entries of the one stream a read was for; none when nothing came.
pub(super) fn read(value: Value) -> Option<Vec<Entry>> {
    Some(deliveries(value)?.into_iter().map(|(entry, _)| entry).collect())
}

/// As [`read`], each with the number of its delivery. An entry that was delivered before comes with the number of
/// milliseconds since then and of the deliveries before this one.
pub(super) fn deliveries(value: impl Part) -> Option<Vec<(Entry, u32)>> {
    let items = of_only_stream(value)?;
    let mut deliveries = Vec::with_capacity(items.len());
    for item in items {
        if item.is_null() {
            continue;
        }
        let parts = item.into_list()?;
        let before = parts.get(3).map_or(Some(0), Part::number)?;
        let attempt = u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
        deliveries.extend(entry_of(parts)?.map(|entry| (entry, attempt)));
    }
    Some(deliveries)
}

/// What a read says of the one stream it was for; nothing when nothing came.
fn of_only_stream<P: Part>(value: P) -> Option<Vec<P>> {
    let list = match value.into_values() {
        // RESP3: a map of names and entries.
        Ok(values) => values.into_iter().next(),
        // RESP2: an array of pairs of the same.
        Err(value) => match value.into_list()?.into_iter().next() {
            Some(pair) => pair.into_list()?.into_iter().nth(1),
            None => None,
        },
    };
    list.map_or(Some(Vec::new()), P::into_list)
}

pub(super) fn claimed(value: Value) -> Option<Claimed> {
    let mut parts = array(value)?.into_iter();
    let next = id(&parts.next()?)?;
    let (entries, gone_pending) = entries(parts.next()?)?;
    // Since 7.0 the ids that are gone come apart and are no longer pending.
    let cleared = parts.next().map_or(Some(0), |list| array(list).map(|list| list.len()))?;
    Some(Claimed { next, entries, gone: cleared + gone_pending, gone_pending: gone_pending > 0 })
}

pub(super) fn pending(value: Value) -> Option<Vec<Pending>> {
    array(value)?
        .into_iter()
        .map(|item| {
            let parts = array(item)?;
            let [entry, consumer, idle, count] = parts.as_slice() else { return None };
            Some(Pending {
                id: id(entry)?,
                // An entry that was given back is nobody's and counts as idle for -1.
                consumer: consumer.as_string().filter(|name| !name.is_empty()),
                idle_ms: u64::try_from(idle.as_i64()?).unwrap_or_default(),
                count: u32::try_from(count.as_u64()?).unwrap_or(u32::MAX),
            })
        })
        .collect()
}

pub(super) fn groups(value: Value) -> Option<Vec<GroupInfo>> {
    array(value)?
        .into_iter()
        .map(|item| {
            let mut fields: HashMap<String, Value> = item.convert().ok()?;
            Some(GroupInfo {
                name: fields.remove("name")?.as_string()?,
                last_delivered: id(fields.get("last-delivered-id")?)?,
                pending: fields.get("pending")?.as_u64()?,
                // Absent before 7.0, and nil where the server has lost count: unknown, not zero.
                lag: fields.get("lag").and_then(Value::as_u64),
            })
        })
        .collect()
}

/// What a script has added of so many entries: the refusal that ended it, or an empty text, and the ids; see
/// `scripts::ADD_BODIES`. A reply that names more ids than were asked for, or not those it counts, is none.
pub(super) fn added(value: Value, asked: usize) -> Option<(String, Vec<MessageId>)> {
    let mut parts = array(value)?.into_iter();
    let refusal = parts.next()?.as_string()?;
    let count = usize::try_from(parts.next()?.as_u64()?).ok().filter(|count| *count <= asked)?;
    let ids = parts.map(|id| id.as_string().map(MessageId::from)).collect::<Option<Vec<_>>>()?;
    match ids.as_slice() {
        ids if ids.len() == count => {}
        [first, last] => {
            let (first, last) = (EntryId::try_from(first).ok()?, EntryId::try_from(last).ok()?);
            if first.following(count.checked_sub(1)?)? != last {
                return None;
            }
            let following = (0..count).map(|number| first.following(number).map(EntryId::to_message_id));
            return Some((refusal, following.collect::<Option<_>>()?));
        }
        _ => return None,
    }
    Some((refusal, ids))
}

pub(super) fn ids(value: Value) -> Option<Vec<EntryId>> {
    array(value)?.iter().map(id).collect()
}

pub(super) fn id(value: &Value) -> Option<EntryId> {
    value.as_str()?.parse().ok()
}

fn array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(list) => Some(list),
        Value::Null => Some(Vec::new()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use fred::types::Resp3Frame;

    use super::*;

    fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::Array(items.into_iter().collect())
    }

    fn text(text: &'static str) -> Value {
        Value::from_static_str(text)
    }

    fn one() -> Value {
        list([text("1-0"), list([text("event"), Value::Bytes(Bytes::from_static(b"\xff"))])])
    }

    #[test]
    fn a_read_is_understood_in_every_shape() {
        let entry = Entry {
            id: "1-0".parse().unwrap(),
            fields: vec![(Bytes::from_static(b"event"), Bytes::from_static(b"\xff"))],
        };
        assert_eq!(read(Value::Null), Some(vec![]));
        assert_eq!(read(list([list([text("s"), list([one()])])])), Some(vec![entry]));
        assert_eq!(read(text("OK")), None);
    }

    #[test]
    fn a_read_is_the_same_as_frames() {
        let blob =
            |data: &'static [u8]| Resp3Frame::BlobString { data: Bytes::from_static(data), attributes: None };
        let list = |data| Resp3Frame::Array { data, attributes: None };
        let number = |data| Resp3Frame::Number { data, attributes: None };
        let fields = || list(vec![blob(b"event"), blob(b"\xff"), blob(b"n"), number(7)]);
        let entries = || {
            list(vec![
                list(vec![blob(b"1-0"), fields(), number(70), number(2)]),
                Resp3Frame::Null,
                list(vec![blob(b"2-0"), Resp3Frame::Null]),
                list(vec![blob(b"3-0"), list(vec![])]),
            ])
        };
        let seen = |frame| {
            let read: Vec<(Entry, u32)> = deliveries(frame)?;
            let shown =
                read.into_iter().map(|(entry, attempt)| (entry.id.to_string(), entry.fields.len(), attempt));
            Some(shown.collect::<Vec<_>>())
        };
        let expected = Some(vec![("1-0".to_owned(), 2, 3), ("3-0".to_owned(), 0, 1)]);
        assert_eq!(seen(list(vec![list(vec![blob(b"s"), entries()])])), expected);
        let map = [(blob(b"s"), entries())].into_iter().collect();
        assert_eq!(seen(Resp3Frame::Map { data: map, attributes: None }), expected);
        assert_eq!(seen(Resp3Frame::Null), Some(vec![]));
        assert_eq!(seen(blob(b"OK")), None);
        assert_eq!(
            seen(list(vec![list(vec![blob(b"s"), list(vec![list(vec![blob(b"x"), fields()])])])])),
            None
        );
    }

    #[test]
    fn ids_between_the_first_and_the_last_need_not_be_sent() {
        let ids = |value| {
            let (refusal, ids) = added(value, 3)?;
            Some((refusal, ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")))
        };
        let said = |refusal: &str, ids: &str| Some((refusal.to_owned(), ids.to_owned()));
        let few = list([text(""), Value::Integer(2), text("1-9"), text("2-0")]);
        assert_eq!(ids(few), said("", "1-9 2-0"));
        let between = list([text("OOM"), Value::Integer(3), text("1-9"), text("1-11")]);
        assert_eq!(ids(between), said("OOM", "1-9 1-10 1-11"));
        assert_eq!(ids(list([text("OOM"), Value::Integer(0)])), said("OOM", ""));
        assert_eq!(ids(list([text(""), Value::Integer(3), text("1-9")])), None);
        assert_eq!(ids(list([])), None);
        // No ids but those that were asked for, however many a server claims.
        let claimed = |count, last| list([text(""), Value::Integer(count), text("1-9"), text(last)]);
        assert_eq!(ids(claimed(3, "1-12")), None);
        assert_eq!(ids(claimed(4, "1-12")), None);
        assert_eq!(ids(claimed(0, "1-9")), None);
        assert_eq!(ids(claimed(i64::MAX, "1-9223372036854775815")), None);
    }

    #[test]
    fn a_read_that_claims_tells_the_number_of_each_delivery() {
        let again = |count| list([text("1-0"), list([text("a"), text("b")]), Value::Integer(70), count]);
        let numbers = |entries| {
            deliveries(list([list([text("s"), list(entries)])]))
                .map(|read| read.into_iter().map(|(_, attempt)| attempt).collect::<Vec<_>>())
        };
        let new = list([text("2-0"), list([text("a"), text("b")])]);
        assert_eq!(numbers(vec![again(Value::Integer(2)), new]), Some(vec![3, 1]));
        // What the server counts to its highest number is past every limit.
        assert_eq!(numbers(vec![again(Value::Integer(i64::MAX))]), Some(vec![u32::MAX]));
        assert_eq!(numbers(vec![again(text("x"))]), None);
    }

    #[test]
    fn a_claim_tells_what_is_gone_on_old_and_new_servers() {
        let new = claimed(list([text("0-0"), list([one()]), list([text("2-0"), text("3-0")])])).unwrap();
        assert_eq!((new.next, new.entries.len(), new.gone, new.gone_pending), (EntryId::ZERO, 1, 2, false));
        let old = claimed(list([text("7-0"), list([one(), Value::Null])])).unwrap();
        assert_eq!((old.entries.len(), old.gone, old.gone_pending), (1, 1, true));
    }

    #[test]
    fn an_unknown_lag_is_not_zero() {
        let group = |lag| {
            let fields = [text("name"), text("g"), text("pending"), Value::Integer(2)];
            list(fields.into_iter().chain([text("last-delivered-id"), text("5-1"), text("lag"), lag]))
        };
        let groups = groups(list([group(Value::Null), group(Value::Integer(3))])).unwrap();
        assert_eq!(groups.iter().map(|group| group.lag).collect::<Vec<_>>(), [None, Some(3)]);
    }

    #[test]
    fn what_was_given_back_is_nobodys_and_idle_for_no_time_that_could_be_told() {
        let entry =
            |consumer, idle| list([text("1-0"), text(consumer), Value::Integer(idle), Value::Integer(2)]);
        let listed = pending(list([entry("c", 1_500), entry("", -1)])).unwrap();
        assert_eq!(listed[0].idle(), Some(Duration::from_millis(1_500)));
        assert_eq!((listed[1].idle(), listed[1].consumer.as_deref(), listed[1].count), (None, None, 2));
    }
}
