//! Guesses what a misspelled name was meant to be.

/// How alike two names must be to be worth a guess, from 0 to 1: one or two slips in a word.
const ALIKE: f64 = 0.75;

/// `, did you mean …?` for the known name most like `given`, if one is.
pub(crate) fn did_you_mean(given: &str, known: &[&str]) -> Option<String> {
    let alike = |name: &&&str| strsim::normalized_damerau_levenshtein(given, name);
    let best = known.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
    (alike(&best) >= ALIKE).then(|| format!(", did you mean `{best}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_only_what_is_alike() {
        let known = ["redis", "rediss", "redis-cluster", "sqlite"];
        assert_eq!(did_you_mean("reddis", &known).as_deref(), Some(", did you mean `redis`?"));
        assert_eq!(did_you_mean("sqllite", &known).as_deref(), Some(", did you mean `sqlite`?"));
        assert_eq!(did_you_mean("kafka", &known), None);
        assert_eq!(did_you_mean("x", &[]), None);
    }
}
