//! What is done for a whole group or stream: removing consumers that are gone, and trimming.
//!
//! Both look before they remove, and what they saw must still hold then. So both are scripts, and where scripts are
//! refused neither is done.

use std::time::Duration;

use events_core::{HeldBy, Retention, TrimReport};
use fred::types::Value;

use super::error::CommandError;
use super::stream_client::StreamClient;
use crate::membership::{Membership, milliseconds};

type Result<T, E = CommandError> = std::result::Result<T, E>;

/// Removes consumers that own nothing and did nothing for a time. `ARGV`: group, the consumer that asks, the idle time,
/// the most that are removed. Returns their names.
const REAP: &str = "\
local gone = {}
for _, entry in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #entry, 2 do consumer[entry[i]] = entry[i + 1] end
  if consumer.pending == 0 and consumer.idle >= tonumber(ARGV[3]) and consumer.name ~= ARGV[2] then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    gone[#gone + 1] = consumer.name
    if #gone >= tonumber(ARGV[4]) then break end
  end
end
return gone";

/// Removes the oldest entries as far as they are to go and no group needs them. `ARGV`: the most entries, the greatest age
/// in milliseconds, the most entries though a group needs them, each empty where there is no such limit, and how many
/// entries may be looked at one by one.
/// Returns how many were removed, how many of these a group needed, whether there is more to do, and the group and the id
/// that hold back what was to go, or nothing.
///
/// A group needs what is pending in it and what comes after its last delivered id. What is pending and no longer in the
/// stream holds nothing back. Ids are compared as text, since Lua's
/// numbers are too small for them. Whole nodes go first and in bounded numbers (`~`, `LIMIT`); the exact trimming after
/// them has less than a node to remove.
const TRIM: &str = "\
local key, step = KEYS[1], tonumber(ARGV[4])
local max, age, hard = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local function below(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if a_ms == b_ms then a_ms, b_ms = a_seq, b_seq end
  if #a_ms ~= #b_ms then return #a_ms < #b_ms end
  return a_ms < b_ms
end
if redis.call('XLEN', key) == 0 then return {0, 0, 0} end
local groups, needed, by = {}, nil, nil
for _, entry in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local group = {}
  for i = 1, #entry, 2 do group[entry[i]] = entry[i + 1] end
  groups[#groups + 1] = group
  local first = redis.call('XPENDING', key, group.name, '-', '+', 1)[1]
  for _ = 1, step do
    -- What is pending may be gone: from the next entry there is to the next that is pending, until they are the same.
    local entry = first and redis.call('XRANGE', key, first[1], '+', 'COUNT', 1)[1]
    if not entry or entry[1] == first[1] then first = entry break end
    first = redis.call('XPENDING', key, group.name, entry[1], '+', 1)[1]
  end
  local new = redis.call('XRANGE', key, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
  for _, candidate in ipairs({first and first[1] or false, new and new[1] or false}) do
    if candidate and (not needed or below(candidate, needed)) then needed, by = candidate, group.name end
  end
end
local function is_needed(id)
  for _, group in ipairs(groups) do
    if below(group['last-delivered-id'], id) then return true end
    if #redis.call('XPENDING', key, group.name, id, id, 1) > 0 then return true end
  end
  return false
end
local function leading(most, wanted)
  local count, after = 0, '-'
  while count < most do
    local page = redis.call('XRANGE', key, after, '+', 'COUNT', math.min(100, most - count))
    for _, entry in ipairs(page) do
      if not wanted(entry[1]) then return count end
      count = count + 1
      after = '(' .. entry[1]
    end
    if #page == 0 then break end
  end
  return count
end
local removed, cut, more, held = 0, 0, 0, false
local function nodes_then_rest(how, bound)
  local whole = redis.call('XTRIM', key, how, '~', bound, 'LIMIT', 10 * step)
  if whole > 0 then more = 1 else whole = redis.call('XTRIM', key, how, '=', bound) end
  removed = removed + whole
end
if age then
  local time = redis.call('TIME')
  local oldest = string.format('%.0f-0', math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - age))
  local bound = oldest
  if needed and below(needed, oldest) then bound, held = needed, true end
  nodes_then_rest('MINID', bound)
end
if max and more == 0 then
  local excess = redis.call('XLEN', key) - max
  if excess > 0 and not needed then
    nodes_then_rest('MAXLEN', max)
  elseif excess > 0 then
    local most = math.min(excess, step)
    local count = leading(most, function(id) return below(id, needed) end)
    if count > 0 then redis.call('XTRIM', key, 'MAXLEN', '=', redis.call('XLEN', key) - count) end
    removed = removed + count
    if count < most then held = true elseif excess > most then more = 1 end
  end
end
if hard and more == 0 then
  local excess = redis.call('XLEN', key) - hard
  if excess > 0 then
    local most = math.min(excess, step)
    leading(most, function(id) if is_needed(id) then cut = cut + 1 end return true end)
    redis.call('XTRIM', key, 'MAXLEN', '=', redis.call('XLEN', key) - most)
    removed = removed + most
    if excess > most or max or age then more = 1 end
  end
end
if held then return {removed, cut, more, by, needed} end
return {removed, cut, more}";

/// How many names one script removes, so that it does not keep the server from others for long.
const REAPED_IN_ONE_SCRIPT: i64 = 100;

/// How many entries one script looks at one by one, for the same reason: two or three milliseconds.
const TRIMMED_IN_ONE_SCRIPT: i64 = 1_000;

impl StreamClient {
    /// Removes consumers of the group that own no pending entry and did nothing for `idle`, in one step each time, and
    /// returns their names.
    pub(crate) async fn reap(&self, member: &Membership, idle: Duration) -> Result<Vec<String>> {
        let arguments = vec![
            member.group.as_str().into(),
            member.consumer.as_str().into(),
            milliseconds(idle).to_string().into(),
            REAPED_IN_ONE_SCRIPT.into(),
        ];
        match self.script(REAP, arguments).await? {
            Some(names) => names.convert().map_err(self.failed("EVAL")),
            None => Ok(Vec::new()),
        }
    }

    /// Removes some of what may go. `None` when the server refuses scripts.
    pub(crate) async fn trim(&self, retention: &Retention) -> Result<Option<Trimmed>> {
        let limit = |limit: Option<u64>| limit.map(|limit| limit.to_string()).unwrap_or_default().into();
        let arguments: Vec<Value> = vec![
            limit(retention.max_events),
            limit(retention.max_age.map(milliseconds)),
            limit(retention.hard_max_events),
            TRIMMED_IN_ONE_SCRIPT.into(),
        ];
        let Some(reply) = self.script(TRIM, arguments).await? else { return Ok(None) };
        Trimmed::read(reply).map(Some).ok_or_else(|| self.unreadable("EVAL"))
    }
}

/// What one step of trimming did.
#[derive(Debug)]
pub(crate) struct Trimmed {
    pub(crate) report: TrimReport,
    /// Whether there is more to do.
    pub(crate) more: bool,
}

impl Trimmed {
    fn read(reply: Value) -> Option<Self> {
        let Value::Array(parts) = reply else { return None };
        let [removed, cut, more, held @ ..] = parts.as_slice() else { return None };
        let mut report = TrimReport::new();
        (report.removed, report.cut) = (removed.as_u64()?, cut.as_u64()?);
        if let [group, id] = held {
            report.held_by = Some(HeldBy { group: group.as_string()?, message_id: id.as_string()?.into() });
        }
        Some(Self { report, more: more.as_u64()? > 0 })
    }
}
