//! The Lua scripts: what must happen in one step, and what must cost one round trip for a whole batch.
//!
//! Every script is sent with its text. That is a few hundred bytes beside a batch, and it cannot be missing: not after
//! a restart, a failover or `SCRIPT FLUSH`.

use std::time::Duration;

use events_core::DeadLetterReason;

use crate::entry_id::EntryId;

/// The end of both scripts that add. Ids only grow, so as many of them as there are numbers between the first and the last
/// are those numbers. Numbers that Lua cannot count exactly are left alone.
macro_rules! answer_with_ids {
    () => {
        "\
local count = #ids
if count > 2 then
  local first, from = ids[1]:match('^(%d+)-(%d+)$')
  local last, to = ids[count]:match('^(%d+)-(%d+)$')
  if first == last and #to < 16 and to - from == count - 1 then
    return {refusal, count, ids[1], ids[count]}
  end
end
return {refusal, count, unpack(ids)}"
    };
}

/// Adds entries that are only a body. `ARGV`: the bodies.
/// Returns the refusal that ended it, or an empty text; how many were added before; and their ids. Of more than two ids that
/// follow each other in number only the first and the last are sent, which saves both sides a string for each event.
pub(super) const ADD_BODIES: &str = concat!(
    "\
local ids, refusal = {}, ''
for i = 1, #ARGV do
  local id = redis.pcall('XADD', KEYS[1], '*', 'event', ARGV[i])
  if type(id) == 'table' then refusal = id.err break end
  ids[i] = id
end
",
    answer_with_ids!()
);

/// As [`ADD_BODIES`], for entries with any fields. `ARGV`: for each entry the number of its fields, then names and values.
pub(super) const ADD_ENTRIES: &str = concat!(
    "\
local ids, refusal, at = {}, '', 1
while at <= #ARGV do
  local last = at + 2 * tonumber(ARGV[at])
  local id = redis.pcall('XADD', KEYS[1], '*', unpack(ARGV, at + 1, last))
  if type(id) == 'table' then refusal = id.err break end
  ids[#ids + 1] = id
  at = last + 1
end
",
    answer_with_ids!()
);

/// As [`ADD_ENTRIES`], where the server remembers what a producer has added. `ARGV`: the producer, then for each entry
/// the id it is remembered by or an empty text, the number of its fields, names and values. All ids are
/// sent: one that is remembered is older than its neighbours.
pub(super) const ADD_ONCE: &str = "\
local ids, refusal, at = {}, '', 2
while at <= #ARGV do
  local once, last = ARGV[at], at + 1 + 2 * tonumber(ARGV[at + 1])
  local id
  if once == '' then
    id = redis.pcall('XADD', KEYS[1], '*', unpack(ARGV, at + 2, last))
  else
    id = redis.pcall('XADD', KEYS[1], 'IDMP', ARGV[1], once, '*', unpack(ARGV, at + 2, last))
  end
  if type(id) == 'table' then refusal = id.err break end
  ids[#ids + 1] = id
  at = last + 1
end
return {refusal, #ids, unpack(ids)}";

/// Moves the leases of entries that are still this delivery's. `ARGV`: group, consumer, the idle time to set, whether
/// to take back the counted delivery, whether to make them nobody's by `XNACK`, then id and count of each entry.
/// Returns for each 0 when it was not held, 1 when its lease was moved, and 2 when it is nobody's.
///
/// `XNACK` itself does not ask whose an entry is, so it must not be sent without looking. Where it is refused, as to a
/// user without the right, the lease is moved instead.
pub(super) const HOLD: &str = "\
local held = {}
local key, group, consumer, idle, uncount, nack = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5] == '1'
for i = 6, #ARGV, 2 do
  local id, moved = ARGV[i], 0
  local entry = redis.call('XPENDING', key, group, id, id, 1, consumer)[1]
  if entry and entry[4] == tonumber(ARGV[i + 1]) then
    if nack then
      local freed = redis.pcall('XNACK', key, group, uncount and 'SILENT' or 'FAIL', 'IDS', 1, id)
      if freed == 1 then moved = 2 end
    end
    if moved == 0 and uncount then
      moved = #redis.call('XCLAIM', key, group, consumer, 0, id, 'IDLE', idle, 'RETRYCOUNT', entry[4] - 1, 'JUSTID')
    elseif moved == 0 then
      moved = #redis.call('XCLAIM', key, group, consumer, 0, id, 'IDLE', idle, 'JUSTID')
    end
  end
  held[#held + 1] = moved
end
return held";

/// Notes when entries that are still this delivery's were delivered, and what went wrong, for the dead letter they may
/// become. `ARGV`: group, consumer, the key of the notes, the error or an empty text, the milliseconds for which notes
/// are kept, then id and count of each entry. Returns how many were noted.
///
/// A note is a help and nothing more: its key is not among `KEYS`, where a user without a right to it would be refused
/// the script, and what cannot be written is left out. Notes of entries that were acknowledged without a word to us stay
/// behind; that their number is bounded makes up for it.
pub(super) const NOTE: &str = "\
local time = redis.call('TIME')
local now, noted = time[1] * 1000 + math.floor(time[2] / 1000), 0
for i = 6, #ARGV, 2 do
  local id, count = ARGV[i], tonumber(ARGV[i + 1])
  local held = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2])[1]
  if held and held[4] == count then
    local old = redis.pcall('HGET', ARGV[3], id)
    if type(old) == 'table' then return noted end
    local readable, note = pcall(cjson.decode, old or '{}')
    if not readable or type(note) ~= 'table' then note = {} end
    local at = now - held[3]
    if count == 1 then note.first = at end
    note.attempt, note.last, note.consumer = count, at, ARGV[2]
    if ARGV[4] ~= '' then note.error = ARGV[4] end
    if not old and redis.call('HLEN', ARGV[3]) >= 10000 then redis.call('UNLINK', ARGV[3]) end
    local set = redis.pcall('HSET', ARGV[3], id, cjson.encode(note))
    if type(set) == 'table' then return noted end
    noted = noted + 1
  end
end
if noted > 0 then redis.call('PEXPIRE', ARGV[3], ARGV[5]) end
return noted";

/// Moves entries that are still this delivery's to the dead letters. `ARGV`: group, consumer, reason, the key of the
/// notes, then id, count, attempts to record and detail of each. An entry that is gone from the stream is only
/// acknowledged. Returns how many became dead letters.
///
/// Fewer attempts than counted deliveries mean that this delivery was made to nobody: who held the entry before, and
/// since when, is known only from its note.
pub(super) const BURY: &str = "\
local time = redis.call('TIME')
local now, buried = time[1] * 1000 + math.floor(time[2] / 1000), 0
local function text(ms) return ms and string.format('%.0f', ms) or '' end
for i = 5, #ARGV, 4 do
  local id, attempts, detail = ARGV[i], tonumber(ARGV[i + 2]), ARGV[i + 3]
  local held = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2])[1]
  if held and math.min(held[4], 4294967295) == tonumber(ARGV[i + 1]) then
    local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
    local noted = redis.pcall('HGET', ARGV[4], id)
    local readable, note = pcall(cjson.decode, type(noted) == 'string' and noted or '{}')
    if not readable or type(note) ~= 'table' then note = {} end
    if entry then
      local last, consumer = now - held[3], ARGV[2]
      if attempts < held[4] then
        last, consumer = nil, ''
        if note.attempt == attempts then last, consumer = note.last, note.consumer end
      end
      local first = note.first or (attempts == 1 and last)
      if detail == '' then detail = note.error or '' end
      redis.call('XADD', KEYS[2], '*', 'reason', ARGV[3], 'detail', detail, 'attempts', ARGV[i + 2],
        'stream', KEYS[1], 'group', ARGV[1], 'consumer', consumer, 'origin_id', id,
        'first_delivered_ms', text(first), 'last_delivered_ms', text(last), unpack(entry[2]))
      buried = buried + 1
    end
    redis.call('XACK', KEYS[1], ARGV[1], id)
    if type(noted) == 'string' then redis.pcall('HDEL', ARGV[4], id) end
  end
end
return buried";

/// Gives dead letters back. `ARGV`: the consumer to give them to, the idle time to set, then the dead letters' ids.
/// What the stream still holds becomes pending again in its group, counted from 0; what it lost is added again.
/// Returns how many were given back.
pub(super) const REDRIVE: &str = "\
local given = 0
for i = 3, #ARGV do
  local letter = redis.call('XRANGE', KEYS[2], ARGV[i], ARGV[i])[1]
  local fields = letter and letter[2]
  if fields and fields[1] == 'reason' and fields[13] == 'origin_id' then
    local group, id, back = fields[10], fields[14], false
    if #redis.call('XRANGE', KEYS[1], id, id) == 1 then
      local pending = redis.pcall('XPENDING', KEYS[1], group, id, id, 1)
      if not pending.err then
        if #pending == 0 then
          redis.call('XCLAIM', KEYS[1], group, ARGV[1], 0, id, 'IDLE', ARGV[2], 'RETRYCOUNT', 0, 'FORCE', 'JUSTID')
        end
        back = true
      end
    end
    local raw = fields[15] == 'idle_ms' and 17 or 19
    if not back then redis.call('XADD', KEYS[1], '*', unpack(fields, raw)) end
    redis.call('XDEL', KEYS[2], ARGV[i])
    given = given + 1
  end
end
return given";

/// Removes a consumer that owns nothing: checking and removing apart could destroy what it was given in between.
/// `ARGV`: group, consumer.
pub(super) const LEAVE: &str = "\
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) == 0 then
  return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
end
return -1";

/// What to do with leases of entries that are held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    /// How long ago the entries shall count as delivered.
    pub(crate) idle: Duration,
    /// Whether the delivery shall count as never made.
    pub(crate) uncount: bool,
}

/// Why entries become dead letters.
#[derive(Clone, Debug)]
pub(crate) struct Burial {
    pub(crate) id: EntryId,
    /// What the server counts if the entry is still this consumer's.
    pub(crate) count: u32,
    /// How often it was delivered to somebody.
    pub(crate) attempts: u32,
    pub(crate) reason: DeadLetterReason,
    pub(crate) detail: Option<String>,
}
