//! The limits of SNS and SQS; each is stated in the API references of the two services.

use std::time::Duration;

/// Entries of one batch call.
pub(crate) const BATCH_ENTRIES: usize = 10;

/// The largest SQS message, attributes included, and the largest sum of a batch (1 MiB since August 2025).
pub(crate) const SQS_MESSAGE_BYTES: usize = 1024 * 1024;

/// The largest SNS message, attributes included, and the largest sum of a batch; a topic can be set to more.
pub(crate) const SNS_MESSAGE_BYTES: usize = 256 * 1024;

/// Attributes of one message. With raw delivery SNS throws a message away that has more.
pub(crate) const ATTRIBUTES: usize = 10;

/// The longest name of an attribute, and the longest value this crate copies out of the body for filters.
pub(crate) const ATTRIBUTE_TEXT: usize = 256;

/// The longest visibility timeout, all extensions of one delivery included.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);

/// The longest message group id, and the longest deduplication id.
const ID_TEXT: usize = 128;

/// Kept free in every message, so that the attributes this crate adds, and what a dead letter says about itself, fit
/// beside the largest event.
pub(crate) const RESERVED_BYTES: usize = 8 * 1024;

/// How the names of FIFO queues and topics end; AWS insists on it.
pub(crate) const FIFO_SUFFIX: &str = ".fifo";

/// Whether a name is that of a FIFO queue or topic.
pub(crate) fn is_fifo(name: &str) -> bool {
    name.ends_with(FIFO_SUFFIX)
}

/// The first character SQS refuses in a text: it takes `#x9 #xA #xD #x20-#xD7FF #xE000-#xFFFD #x10000-#x10FFFF`.
pub(crate) fn refused_character(text: &str) -> Option<char> {
    let refused =
        |c: &char| (*c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().find(refused)
}

/// The rule the name of an attribute breaks, if it breaks one.
pub(crate) fn broken_name_rule(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    if name.len() > ATTRIBUTE_TEXT {
        Some("is longer than 256 characters")
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
        Some("has a character other than A-Z, a-z, 0-9, `_`, `-` and `.`")
    } else if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        Some("begins or ends with a dot, or has two in a row")
    } else if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        Some("begins with `AWS.` or `Amazon.`")
    } else {
        None
    }
}

/// A text as group or deduplication id: cut to 128 characters, with others than ASCII letters, digits and punctuation
/// replaced by `_`.
pub(crate) fn group_text(text: &str) -> String {
    text.chars().take(ID_TEXT).map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_refused_as_sqs_refuses_them() {
        for good in ["", "a\t\n\r", "\u{7f}\u{d7ff}\u{e000}\u{fffd}\u{10000}\u{10ffff}"] {
            assert_eq!(refused_character(good), None, "{good:?}");
        }
        for bad in ['\0', '\u{1}', '\u{b}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
            assert_eq!(refused_character(&format!("a{bad}b")), Some(bad));
        }
    }

    #[test]
    fn names_are_refused_as_sqs_refuses_them() {
        for good in ["a", "X_Case.kept", "x-1", "traceparent", "awsome"] {
            assert_eq!(broken_name_rule(good), None, "{good}");
        }
        for bad in ["a b", "é", ".a", "a.", "a..b", "AWS.a", "amazon.b", &"x".repeat(257)] {
            assert!(broken_name_rule(bad).is_some(), "{bad}");
        }
    }
}
