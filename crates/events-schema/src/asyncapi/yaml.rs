//! JSON values as YAML in blocks. Strings are quoted as JSON quotes them, which YAML reads alike.

use serde_json::Value;

/// Words YAML takes for something else than text where they stand without quotes.
const NO_TEXT: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "true", "false"];

pub(super) fn document(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    out
}

/// Appends a value whose first line begins where `out` ends.
fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (at, (name, member)) in members.iter().enumerate() {
                if at > 0 {
                    out.extend(std::iter::repeat_n(' ', indent));
                }
                out.push_str(&key(name));
                out.push(':');
                nested(out, member, indent + 2);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.extend(std::iter::repeat_n(' ', indent));
                }
                out.push_str("- ");
                block(out, item, indent + 2);
            }
        }
        scalar => {
            out.push_str(&scalar.to_string());
            out.push('\n');
        }
    }
}

/// Appends the value of a member: on the same line, or as a block below.
fn nested(out: &mut String, value: &Value, indent: usize) {
    let is_block = match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_block {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent));
    } else {
        out.push(' ');
    }
    block(out, value, indent);
}

fn key(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        && !NO_TEXT.contains(&name.to_ascii_lowercase().as_str())
        && name != "null";
    if plain { name.to_owned() } else { Value::from(name).to_string() }
}
