//! How much a message may hold, so that what strangers write cannot hurt its reader.

use memchr::{memchr2, memchr2_iter};

use crate::{Error, ErrorKind, Result};

/// The largest message that is written or read, all names and values together: 512 MiB, which is also the most Redis takes.
///
/// Backends have smaller limits of their own on what is published.
pub const MAX_MESSAGE_BYTES: usize = 512 * 1024 * 1024;

/// The most fields of a message, headers in a frame, and attributes of an event.
pub const MAX_FIELDS: usize = 1024;

/// The deepest nesting of a payload: what `serde_json` reads into a value.
pub const MAX_DEPTH: usize = 127;

/// Refuses a message that is too large to look at.
pub(super) fn check_size(operation: &'static str, bytes: usize) -> Result<()> {
    if bytes > MAX_MESSAGE_BYTES {
        return Err(Error::too_large(operation, bytes, MAX_MESSAGE_BYTES));
    }
    Ok(())
}

/// Refuses more fields, headers or attributes than a message may have.
pub(super) fn check_count(operation: &'static str, count: usize) -> Result<()> {
    if count > MAX_FIELDS {
        let message = format!("more than {MAX_FIELDS} fields, headers or attributes");
        return Err(Error::new(ErrorKind::TooLarge, operation, message));
    }
    Ok(())
}

/// The rule a JSON text breaks whose nesting is too deep. The text need not be JSON.
pub(crate) fn broken_depth_rule(json: &[u8]) -> Option<String> {
    // What has not so many brackets cannot nest so deep, and counting them is quick.
    if json.len() <= 2 * MAX_DEPTH || memchr2_iter(b'[', b'{', json).take(MAX_DEPTH + 2).count() <= MAX_DEPTH
    {
        return None;
    }
    (depth(json) > MAX_DEPTH).then(|| format!("is nested deeper than {MAX_DEPTH} levels"))
}

/// The deepest nesting of a JSON text.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at += string_length(&json[at..]),
            _ => {}
        }
    }
    deepest
}

/// The length of a string up to and with its closing quote, from behind the opening one.
pub(super) fn string_length(json: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr2(b'"', b'\\', &json[at..]) {
        match json[at + found] {
            b'"' => return at + found + 1,
            _ => at = (at + found + 2).min(json.len()),
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_within_strings_do_not_nest() {
        assert_eq!(depth(br#"{"a":[1,{"b":[]}],"c":"[[[[\"[["}"#), 4);
        assert_eq!(depth(b"]]]]"), 0);
        assert_eq!(depth(br#""never closed ["#), 0);
        assert_eq!(string_length(br#"a\\" "#), 4);
        assert_eq!(string_length(br"a\"), 2);
    }

    #[test]
    fn the_deepest_nesting_allowed_is_what_serde_json_reads() {
        for (levels, allowed) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
            let json = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            assert_eq!(broken_depth_rule(json.as_bytes()).is_none(), allowed, "{levels}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), allowed, "{levels}");
        }
        let many = format!("[{}1]", "[],".repeat(1_000));
        assert_eq!(broken_depth_rule(many.as_bytes()), None);
    }
}
