//! The same as the scripts in single commands, for servers that refuse scripts.
//!
//! Between looking and doing another consumer may act. The order of the steps makes that a repetition, never a loss.

use std::time::Duration;

use bytes::Bytes;
use fred::interfaces::StreamsInterface;
use fred::types::Value;
use futures_util::future::try_join_all;
use time::OffsetDateTime;

use super::batches::{Held, ids};
use super::error::CommandError;
use super::scripts::{Burial, Hold};
use super::stream_client::{PendingFilter, StreamClient};
use super::{Code, Entry, Pending};
use crate::dead_letter::Origin;
use crate::entry_id::EntryId;
use crate::membership::{Membership, milliseconds};

type Result<T, E = CommandError> = std::result::Result<T, E>;

/// The name redriven entries are pending under until a consumer takes them.
pub(super) const REDRIVER: &str = "events-redrive";

/// Longer than any sensible lease, so that every consumer may take a redriven entry at once.
pub(super) const REDRIVEN_IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub(super) async fn hold(
    client: &StreamClient,
    member: &Membership,
    hold: Hold,
    entries: &[Held],
) -> Result<Vec<bool>> {
    let mine = try_join_all(entries.iter().map(|(id, _)| held(client, member, *id))).await?;
    let outcomes = entries.iter().zip(mine).map(|((id, count), pending)| async move {
        if pending.is_none_or(|pending| pending.count != *count) {
            return Ok(false);
        }
        let count = hold.uncount.then(|| u64::from(count.saturating_sub(1)));
        let idle = Some(milliseconds(hold.idle));
        let (group, consumer) = (member.group.as_str(), member.consumer.as_str());
        let value: Value = client
            .client("XCLAIM")
            .await?
            .xclaim(client.key(), group, consumer, 0, id.to_string(), idle, None, count, false, true)
            .await
            .map_err(client.failed("XCLAIM"))?;
        ids(value).map(|ids| !ids.is_empty()).ok_or_else(|| client.unreadable("XCLAIM"))
    });
    try_join_all(outcomes).await
}

pub(super) async fn bury(client: &StreamClient, member: &Membership, burials: &[&Burial]) -> Result<u64> {
    let mut buried = 0;
    for burial in burials {
        let Some(pending) = held(client, member, burial.id).await? else { continue };
        if pending.count != burial.count {
            continue;
        }
        if let Some(entry) = client.entry(burial.id).await? {
            let fields = letter(client, member, burial, &pending, entry);
            client.add_to(&client.dead_key, fields).await?;
            buried += 1;
        }
        client.ack(&member.group, vec![burial.id.to_string()]).await?;
    }
    Ok(buried)
}

fn letter(
    client: &StreamClient,
    member: &Membership,
    burial: &Burial,
    pending: &Pending,
    entry: Entry,
) -> Vec<(Bytes, Bytes)> {
    // Told by our clock, since asking for the server's would be another command. Of a delivery that was made to nobody
    // the time says nothing, and neither does its consumer.
    let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    let last = (burial.attempts == burial.count).then(|| now.saturating_sub(i128::from(pending.idle_ms)));
    let first = last.filter(|_| burial.attempts == 1);
    let text = |moment: Option<i128>| moment.map(|moment| moment.to_string()).unwrap_or_default();
    let consumer = last.map(|_| member.consumer.clone()).unwrap_or_default();
    let values = [
        burial.reason.as_str().to_owned(),
        burial.detail.clone().unwrap_or_default(),
        burial.attempts.to_string(),
        client.key().to_owned(),
        member.group.clone(),
        consumer,
        burial.id.to_string(),
        text(first),
        text(last),
    ];
    let names = crate::dead_letter::FIELDS.iter().map(|name| Bytes::from_static(name.as_bytes()));
    names.zip(values.map(Bytes::from)).chain(entry.fields).collect()
}

pub(super) async fn redrive(client: &StreamClient, letters: &[String]) -> Result<u64> {
    let mut given = 0;
    for letter in letters {
        let Some(entry) = client.range(&client.dead_key, letter, letter, 1).await?.pop() else { continue };
        let Some(origin) = Origin::of(&entry) else { continue };
        if !revive(client, &origin.group, origin.id).await? {
            client.add(origin.fields.to_vec()).await?;
        }
        given += client.purge(vec![letter.clone()]).await?;
    }
    Ok(given)
}

/// Makes an entry pending again; false when the stream or the group no longer has it.
async fn revive(client: &StreamClient, group: &str, id: EntryId) -> Result<bool> {
    if client.entry(id).await?.is_none() {
        return Ok(false);
    }
    let filter = PendingFilter { after: Some(id.before()), up_to: Some(id), ..PendingFilter::default() };
    match client.pending(group, filter, 1).await {
        Ok(pending) if !pending.is_empty() => return Ok(true),
        Ok(_) => {}
        Err(error) if error.code() == Code::GroupLost => return Ok(false),
        Err(error) => return Err(error),
    }
    let idle = Some(milliseconds(REDRIVEN_IDLE));
    let claimed: Result<Value, _> = client
        .client("XCLAIM")
        .await?
        .xclaim(client.key(), group, REDRIVER, 0, id.to_string(), idle, None, Some(0), true, true)
        .await;
    claimed.map_err(client.failed("XCLAIM")).map(|_| true)
}

/// What the server knows of an entry, if it is this consumer's.
async fn held(client: &StreamClient, member: &Membership, id: EntryId) -> Result<Option<Pending>> {
    let filter = PendingFilter {
        consumer: Some(&member.consumer),
        after: Some(id.before()),
        up_to: Some(id),
        ..PendingFilter::default()
    };
    Ok(client.pending(&member.group, filter, 1).await?.pop())
}
