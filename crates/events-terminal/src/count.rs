//! Numbers on the command line of which there has to be one at least.

use std::str::FromStr;

/// Reads a number that is not 0, such as a [`NonZeroUsize`](std::num::NonZeroUsize); for `#[arg(value_parser)]`.
///
/// # Errors
///
/// What a count looks like, for people who know nothing of types.
pub fn parse_count<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "expected a whole number from 1 on".to_owned())
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroUsize};

    use super::*;

    #[test]
    fn a_count_is_at_least_one() {
        assert_eq!(parse_count("7"), Ok(NonZeroUsize::new(7).unwrap()));
        for bad in ["0", "-1", "1.5", "", "many", "4294967296"] {
            assert!(parse_count::<NonZeroU32>(bad).unwrap_err().contains("from 1 on"), "{bad}");
        }
    }
}
