//! Where an event lies: its stream and its number there, packed into one integer key.
//!
//! The key is SQLite's row id, so the events of a stream lie together in the order they were accepted, and reading them
//! needs no further index that every insert would have to maintain.

use events_core::{Error, ErrorKind, MessageId, Result};

/// Bits of a key that number the events of one stream: room for a million million.
const SEQ_BITS: u32 = 40;

/// The row id of the event number `seq` of a stream.
pub(crate) const fn key(stream_id: i64, seq: i64) -> i64 {
    (stream_id << SEQ_BITS) | seq
}

/// The number in its stream of the event with the row id `key`.
pub(crate) const fn seq(key: i64) -> i64 {
    key & ((1 << SEQ_BITS) - 1)
}

/// The id a caller sees: the event's number in its stream.
pub(crate) fn message_id(seq: i64) -> MessageId {
    MessageId::new(seq.to_string())
}

/// The number a caller's id stands for.
pub(crate) fn parse(operation: &'static str, id: &MessageId) -> Result<i64> {
    id.as_str().parse().ok().filter(|seq| (0..1 << SEQ_BITS).contains(seq)).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidConfig,
            operation,
            format!(
                "{:?} is neither an id, which is a number, nor a time such as 2026-02-10T12:00:00Z",
                id.as_str()
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_stream_lie_together_in_order() {
        assert!(key(1, (1 << SEQ_BITS) - 1) < key(2, 1));
        assert!(key(2, 1) < key(2, 2));
        assert_eq!(seq(key(7, 99)), 99);
    }

    #[test]
    fn only_numbers_are_ids() {
        assert_eq!(parse("test", &"17".into()).unwrap(), 17);
        for text in ["", "-1", "1-0", "x", "1099511627776"] {
            assert_eq!(parse("test", &text.into()).unwrap_err().kind(), ErrorKind::InvalidConfig, "{text}");
        }
    }
}
