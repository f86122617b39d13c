//! The names of keys.

/// The key of the dead letters of `stream_key`: in the same hash slot, so that moving there is one step in a cluster.
///
/// A key without a hash tag becomes the tag; one that has its own keeps it.
/// A key with other braces, such as `a}b`, cannot be a tag: its dead letters lie in a slot of their own and events move
/// there in two steps, so that a crash between them leaves a duplicate.
pub(crate) fn dead_letter_key(stream_key: &str) -> String {
    if hash_tag(stream_key).is_some() || stream_key.contains(['{', '}']) {
        format!("{stream_key}:dlq")
    } else {
        format!("{{{stream_key}}}:dlq")
    }
}

/// The key of what is noted about events of `stream_key` that failed in `group` and are to be tried again.
pub(crate) fn notes_key(stream_key: &str, group: &str) -> String {
    let dead_letters = dead_letter_key(stream_key);
    format!("{}:failed:{group}", dead_letters.strip_suffix(":dlq").unwrap_or(stream_key))
}

/// The key that says that `group` has handled the event `id` of `stream_key`. Lengths keep names with colons apart.
pub(crate) fn seen_key(stream_key: &str, group: &str, id: &str) -> String {
    format!("{stream_key}:seen:{}.{}:{group}:{id}", stream_key.len(), group.len())
}

/// What a cluster hashes of a key: what stands between its first brace and the next closing one, if anything does.
fn hash_tag(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once('{')?;
    let (tag, _) = rest.split_once('}')?;
    Some(tag).filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_handled_events_are_told_apart() {
        assert_ne!(seen_key("s", "a:b", "c"), seen_key("s", "a", "b:c"));
    }

    #[test]
    fn dead_letters_share_the_slot_of_their_stream() {
        for (stream, dead) in [
            ("qontract:events", "{qontract:events}:dlq"),
            ("a{b}c", "a{b}c:dlq"),
            ("{b}", "{b}:dlq"),
            ("a{}b", "a{}b:dlq"),
            ("a}b", "a}b:dlq"),
        ] {
            assert_eq!(dead_letter_key(stream), dead);
        }
        assert_eq!(notes_key("orders", "a}{b"), "{orders}:failed:a}{b");
        assert_eq!(notes_key("a{b}c", "g"), "a{b}c:failed:g");
        for stream in ["qontract:events", "a{b}c", "{b}"] {
            let dead = dead_letter_key(stream);
            assert_eq!(hash_tag(&dead), Some(hash_tag(stream).unwrap_or(stream)));
        }
    }
}
