//! Text of others, made safe for a terminal.
//!
//! An event may hold anything: an escape sequence that rewrites the screen, a line separator that fakes a second event, a mark
//! that shows text from right to left. None of it is printed raw.

/// Whether a character must not reach a terminal: C0 and C1 controls, line and paragraph separators, marks that turn the
/// direction of text, and invisible tag characters.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a byte can belong to an unsafe character: a control, or the first byte of one of the ranges above.
const fn is_suspect(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, 0x7f | 0xc2 | 0xd8 | 0xe2 | 0xf3)
}

/// Whether a byte is no printable ASCII character: two comparisons, where [`is_suspect`] takes six.
const fn is_not_ascii_text(byte: u8) -> bool {
    byte.cast_signed() < 0x20 || byte == 0x7f
}

/// How many bytes are looked at together, which lets the compiler use wide registers.
const BLOCK: usize = 32;

/// Whether nothing in the text needs a closer look. This is the way of almost every event.
pub(crate) fn is_clean(text: &[u8]) -> bool {
    fn none(bytes: &[u8], is: impl Fn(u8) -> bool) -> bool {
        !bytes.iter().fold(false, |found, byte| found | is(*byte))
    }
    let clean = |bytes: &[u8]| none(bytes, is_not_ascii_text) || none(bytes, is_suspect);
    let blocks = text.chunks_exact(BLOCK);
    clean(blocks.remainder()) && blocks.into_iter().all(clean)
}

/// Appends JSON text on one line.
///
/// What is unsafe can stand raw only inside of strings, where it becomes an escape that means the same, or as white space
/// between tokens, which becomes a space; so the JSON stays equal in meaning, and everything else stays as it was spelled.
pub fn append_json(out: &mut Vec<u8>, json: &str) {
    if is_clean(json.as_bytes()) {
        out.extend_from_slice(json.as_bytes());
        return;
    }
    let mut copied = 0;
    for (at, c) in json.char_indices().filter(|(_, c)| is_unsafe(*c)) {
        out.extend_from_slice(&json.as_bytes()[copied..at]);
        match c {
            '\n' | '\r' | '\t' => out.push(b' '),
            c => append_escape(out, c),
        }
        copied = at + c.len_utf8();
    }
    out.extend_from_slice(&json.as_bytes()[copied..]);
}

/// Appends a value of `key=value`: as it is where nothing can be mistaken, else in quotes.
pub(crate) fn append_value(out: &mut Vec<u8>, text: &str) {
    let needs_quotes = |c: char| c.is_whitespace() || matches!(c, '"' | '=' | '\\') || is_unsafe(c);
    if !text.is_empty() && !text.contains(needs_quotes) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    append_inside_quotes(out, text);
    out.push(b'"');
}

/// Appends text between quotes the caller writes, escaped as in JSON.
pub(crate) fn append_inside_quotes(out: &mut Vec<u8>, text: &str) {
    append_escaped(out, text, |c| is_unsafe(c) || matches!(c, '"' | '\\'));
}

/// Appends text without quotes, for people to read: what is safe stays as it is, JSON among it.
pub(crate) fn append_plain(out: &mut Vec<u8>, text: &str) {
    append_escaped(out, text, is_unsafe);
}

fn append_escaped(out: &mut Vec<u8>, text: &str, needs_it: impl Fn(char) -> bool) {
    let mut copied = 0;
    for (at, c) in text.char_indices().filter(|(_, c)| needs_it(*c)) {
        out.extend_from_slice(&text.as_bytes()[copied..at]);
        match c {
            '"' => out.extend_from_slice(br#"\""#),
            '\\' => out.extend_from_slice(br"\\"),
            '\n' => out.extend_from_slice(br"\n"),
            '\r' => out.extend_from_slice(br"\r"),
            '\t' => out.extend_from_slice(br"\t"),
            c => append_escape(out, c),
        }
        copied = at + c.len_utf8();
    }
    out.extend_from_slice(&text.as_bytes()[copied..]);
}

/// Appends a character as JSON escapes it: four hexadecimal digits for each UTF-16 unit.
fn append_escape(out: &mut Vec<u8>, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn text(append: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        append(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_unsafe_character_has_a_suspect_byte() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| is_unsafe(*c)) {
            assert!(!is_clean(c.to_string().as_bytes()), "{c:?}");
        }
    }

    #[test]
    fn json_keeps_its_spelling() {
        for json in [r#"{"n":1.0e+5,"big":123456789012345678901234567890}"#, r#"{ "é" : "Zoë 🦀 “x”" }"#]
        {
            assert_eq!(text(|out| append_json(out, json)), json);
        }
        let json = "{\n\t\"a\":\r\n\"\u{9b}\u{2028}\u{202e}\u{7f}\u{e0041}\u{61c}\"}";
        let one_line = r#"{  "a":  "\u009b\u2028\u202e\u007f\udb40\udc41\u061c"}"#;
        assert_eq!(text(|out| append_json(out, json)), one_line);
    }

    #[test]
    fn a_value_is_quoted_only_where_it_could_be_mistaken() {
        for (value, printed) in [
            ("slack.join", "slack.join"),
            ("Zoë", "Zoë"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a=b", "\"a=b\""),
            ("say \"hi\"\\", r#""say \"hi\"\\""#),
            ("x\n\r\t\u{1b}[31m", r#""x\n\r\t\u001b[31m""#),
            ("a\u{a0}b", "\"a\u{a0}b\""),
        ] {
            assert_eq!(text(|out| append_value(out, value)), printed);
        }
    }

    proptest! {
        #[test]
        fn escaped_json_means_the_same(value in "(?s).{0,80}") {
            let json = serde_json::json!({ "k": value });
            for spelled in [json.to_string(), serde_json::to_string_pretty(&json).unwrap()] {
                let printed = text(|out| append_json(out, &spelled));
                prop_assert!(!printed.contains(is_unsafe));
                prop_assert_eq!(&serde_json::from_str::<Value>(&printed).unwrap(), &json);
            }
        }

        #[test]
        fn a_quoted_value_is_read_back_as_json(value in "(?s).{0,80}") {
            let printed = text(|out| append_value(out, &value));
            prop_assert!(!printed.contains(is_unsafe));
            if printed.starts_with('"') {
                prop_assert_eq!(serde_json::from_str::<String>(&printed).unwrap(), value);
            } else {
                prop_assert_eq!(printed, value);
            }
        }
    }
}
