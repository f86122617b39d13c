//! Texts in JSON.

use serde_json::value::RawValue;

/// Appends a text or a number as JSON.
pub(crate) fn write_json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let written = serde_json::to_writer(&mut *out, value);
    debug_assert!(written.is_ok(), "writing text or a number to memory cannot fail");
}

/// Nearly every version has one digit.
pub(super) fn write_number(out: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        Ok(digit @ 0..=9) => out.push(b'0' + digit),
        _ => write_json(out, &number),
    }
}

/// Nearly every name and id needs no escape, and then it is copied in one go.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    // Looking at every byte, come what may, lets the compiler look at many at a time.
    let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if text.bytes().fold(false, |found, byte| found | needs_escape(byte)) {
        return write_json(out, text);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Appends `,"<name>":`; the name has nothing JSON escapes.
pub(super) fn write_key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A JSON value that is wanted as text: what a string says, and the JSON of anything else.
pub(super) fn plain(json: &RawValue) -> String {
    serde_json::from_str(json.get()).unwrap_or_else(|_| json.get().to_owned())
}
