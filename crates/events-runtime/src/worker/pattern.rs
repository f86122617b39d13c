//! Which event types a handler is for.

/// A pattern over event types: words joined by dots, of which `*` stands for any one word, or any part of one, and `**`
/// for any number of words, none included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Box<[Word]>);

/// One word of a pattern, told apart once so that matching, which every event pays for, need not.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Exact(Box<str>),
    /// A word with `*` in it.
    Wild(Box<str>),
    /// `*` alone.
    Any,
    /// `**`.
    Rest,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let word = |word: &str| match word {
            "**" => Word::Rest,
            "*" => Word::Any,
            word if word.contains('*') => Word::Wild(word.into()),
            word => Word::Exact(word.into()),
        };
        Self(text.split('.').map(word).collect())
    }

    pub(crate) fn matches(&self, event_type: &str) -> bool {
        match_words(&self.0, Some(event_type))
    }
}

/// Matches the words that are left, of which there are none once `words` is `None`.
fn match_words(pattern: &[Word], words: Option<&str>) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return words.is_none() };
    if *first == Word::Rest {
        // Whatever follows is tried at every place it may begin.
        let mut left = words;
        return rest.is_empty()
            || loop {
                if match_words(rest, left) {
                    break true;
                }
                match left {
                    Some(words) => left = split_word(words).1,
                    None => break false,
                }
            };
    }
    let Some((word, words)) = words.map(split_word) else { return false };
    let matches = match first {
        Word::Exact(exact) => **exact == *word,
        Word::Wild(wild) => match_word(wild, word),
        Word::Any | Word::Rest => true,
    };
    matches && match_words(rest, words)
}

/// The first word, and the others if there are any.
fn split_word(words: &str) -> (&str, Option<&str>) {
    // Event types are short: looking at each byte is faster than a search made for long text.
    match words.bytes().position(|byte| byte == b'.') {
        Some(dot) => (&words[..dot], Some(&words[dot + 1..])),
        None => (words, None),
    }
}

/// Matches one word, in which each `*` of the pattern stands for any text.
fn match_word(pattern: &str, word: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == word };
    let Some(mut word) = word.strip_prefix(start) else { return false };
    let mut parts = rest.split('*');
    let Some(end) = parts.next_back() else { return true };
    for part in parts {
        let Some(at) = word.find(part) else { return false };
        word = &word[at + part.len()..];
    }
    word.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_their_wildcards_match() {
        for (pattern, matching, other) in [
            ("a.b", &["a.b"][..], &["a", "a.c", "a.b.c", "ab"][..]),
            (
                "slack-usergroups.*",
                &["slack-usergroups.update"],
                &["slack-usergroups", "slack-usergroups.a.b", "slack.a"],
            ),
            ("**", &["a.b", "a", "Ping", ""], &[]),
            ("a.**", &["a.b", "a.b.c", "a"], &["b.a", "ab.c"]),
            ("**.failed", &["a.failed", "a.b.failed", "failed"], &["a.failed.b", "a.failing"]),
            ("a.**.z", &["a.z", "a.b.z", "a.b.c.z"], &["a.z.b", "z"]),
            ("slack-*.up*e", &["slack-a.update", "slack-.upe"], &["slack.update", "slack-a.updated"]),
            ("*.*", &["a.b"], &["a", "a.b.c"]),
            ("a*a", &["aa", "aba"], &["a"]),
        ] {
            let compiled = Pattern::new(pattern);
            for event_type in matching {
                assert!(compiled.matches(event_type), "{pattern} should match {event_type}");
            }
            for event_type in other {
                assert!(!compiled.matches(event_type), "{pattern} should not match {event_type}");
            }
        }
    }
}
