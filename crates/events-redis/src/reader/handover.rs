//! From entries to deliveries: what is an event goes to the inbox, what is none to the dead letters.

use std::error::Error as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use events_core::{DeadLetterReason, Error, wire};
use time::OffsetDateTime;
use tokio::task::yield_now;
use tokio::time::Instant;
use tracing::{error, warn};

use super::Reader;
use crate::client::{Burial, Entry, Held};
use crate::inbox::Ready;

/// After how many events others have a turn: whoever acknowledges waits for a processor as well, and so does the client's
/// task that writes the next read. As measured: a turn may take the reader to another thread, so more turns cost more, and with
/// fewer the server waits for the read.
const DECODED_AT_ONCE: usize = 64;

impl Reader {
    /// Decodes entries, each with the number of its delivery, and puts them where `receive` finds them.
    ///
    /// Dead letters are moved before their neighbours are handed over, so that whoever has the neighbours finds them.
    pub(super) async fn hand_over(&mut self, entries: Vec<(Entry, u32)>, leased: Instant) {
        if let Some((newest, _)) = entries.iter().max_by_key(|(entry, _)| entry.id)
            && self.position.is_none_or(|position| position < newest.id)
        {
            self.position = Some(newest.id);
            self.newest = Some((newest.id, fingerprint(newest)));
        }
        let mut ready = Vec::with_capacity(entries.len());
        let mut burials = Vec::new();
        for (at, (entry, attempt)) in entries.into_iter().enumerate() {
            if at % DECODED_AT_ONCE == DECODED_AT_ONCE - 1 {
                yield_now().await;
            }
            match self.decode(entry, attempt, leased) {
                Ok(event) => ready.push(event),
                Err(burial) => burials.push(burial),
            }
        }
        if !burials.is_empty() {
            self.bury(&burials).await;
        }
        let again: Vec<Held> = ready.iter().map(|ready| (ready.id, ready.attempt)).collect();
        let again: Vec<Held> = again.into_iter().filter(|(_, attempt)| *attempt > 1).collect();
        self.inbox.put(ready);
        if !again.is_empty() {
            // Should this delivery be the last, nobody but its note will know when and to whom it was.
            self.commands.note(&self.member, &again, None).await;
        }
    }

    fn decode(&self, entry: Entry, attempt: u32, leased: Instant) -> Result<Ready, Burial> {
        let id = entry.id;
        let burial = |attempts, reason, detail| Burial { id, count: attempt, attempts, reason, detail };
        if attempt > self.member.max_deliveries.get() {
            // This delivery is counted and was made to nobody.
            return Err(burial(attempt - 1, DeadLetterReason::MaxDeliveries, None));
        }
        let fields = entry.fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        let published_at = id.time().unwrap_or(OffsetDateTime::UNIX_EPOCH);
        match wire::decode_expecting(self.member.encoding, fields, published_at) {
            Ok(event) => Ok(Ready { id, attempt, event, leased: Some(leased) }),
            Err(error) => Err(burial(attempt, DeadLetterReason::Undecodable, Some(in_words(&error)))),
        }
    }

    async fn bury(&self, burials: &[Burial]) {
        let stream = self.commands.stream_key().as_ref();
        for burial in burials {
            warn!(stream, id = %burial.id, reason = %burial.reason, detail = burial.detail, "an event becomes a dead letter");
        }
        if let Err(error) = self.commands.bury(&self.member, burials).await {
            // They stay pending and are tried again when their lease ends; their neighbours must not wait for that.
            error!(stream, %error, "dead letters could not be moved and stay pending");
        }
    }
}

/// Tells an entry from another one that was given its id in a new stream.
pub(super) fn fingerprint(entry: &Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    entry.fields.hash(&mut hasher);
    hasher.finish()
}

/// An error and its cause: whoever looks at a dead letter has no other source.
fn in_words(error: &Error) -> String {
    match error.source() {
        Some(source) => format!("{}: {source}", error.message()),
        None => error.message().to_owned(),
    }
}
