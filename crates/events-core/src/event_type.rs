//! The rule an event type follows when an event is built.

/// The rule `event_type` breaks, if it breaks one: at least two words of `[a-z0-9_-]`, joined by dots.
pub(crate) fn broken_rule(event_type: &str) -> Option<String> {
    if event_type.is_empty() {
        return Some("must not be empty".to_owned());
    }
    let mut words = 0;
    for word in event_type.split('.') {
        words += 1;
        if word.is_empty() {
            return Some(format!("{event_type:?} has an empty word between its dots"));
        }
        if let Some(odd) = word.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '_' | '-')) {
            return Some(format!("{event_type:?} has {odd:?}; words are of a-z, 0-9, `_` and `-`"));
        }
    }
    (words < 2).then(|| format!("{event_type:?} needs at least two words, as in `integration.action`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_lower_case_words_pass() {
        for good in ["a.b", "slack-usergroups.update_users", "a.b.c.d", "0.1", "-._"] {
            assert_eq!(broken_rule(good), None, "{good}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in ["", "ping", "A.b", "a.B", "a..b", ".a.b", "a.b.", "a b.c", "a.é", "a/b.c", "a.b\n"] {
            assert!(broken_rule(bad).is_some(), "{bad:?}");
        }
    }
}
