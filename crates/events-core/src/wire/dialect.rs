//! Which JSON object a body is, told by its first keys without reading the rest.

use super::limits::string_length;

/// What a body looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Has a member `event_type` before any `specversion`.
    Adr018,
    /// Has a member `specversion` before any `event_type`.
    CloudEvents,
    /// Has neither.
    Neither,
}

impl Dialect {
    /// Looks at the names of an object's members until one decides. Every producer writes it among its first.
    ///
    /// Takes any bytes. Of what is no JSON object it says something, and whoever decodes it says what is wrong.
    pub(super) fn of(body: &[u8]) -> Self {
        let Some(mut rest) = body.trim_ascii_start().strip_prefix(b"{") else { return Self::Neither };
        loop {
            rest = rest.trim_ascii_start();
            let Some(key) = rest.strip_prefix(b"\"") else { return Self::Neither };
            let length = string_length(key);
            match &key[..length] {
                b"specversion\"" => return Self::CloudEvents,
                b"event_type\"" => return Self::Adr018,
                _ => {}
            }
            let Some(value) = key[length..].trim_ascii_start().strip_prefix(b":") else {
                return Self::Neither;
            };
            match after_value(value) {
                Some(next) => rest = next,
                None => return Self::Neither,
            }
        }
    }
}

/// What follows the comma behind a value; `None` at the end of the object.
fn after_value(json: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match json.get(at)? {
            b'"' => at += string_length(&json[at + 1..]),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => return Some(&json[at + 1..]),
            _ => {}
        }
        at += 1;
    }
}
