//! Which events are of interest: globs over the type and the source.

use std::fmt;
use std::str::FromStr;

use clap::Args;
use events_core::Event;
use globset::{GlobBuilder, GlobMatcher};

/// Which events to show. Each flag may be given several times; an event passes when one of the globs of each kind matches.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filter")]
pub struct FilterArgs {
    /// Only events whose type matches, such as `slack.*`; may be repeated.
    ///
    /// `*` stands for any text, dots included, `?` for one character, `[ab]` for one of several, `{a,b}` for alternatives.
    #[arg(long = "type", value_name = "GLOB")]
    types: Vec<Glob>,

    /// Only events whose source matches; may be repeated.
    #[arg(long = "source", value_name = "GLOB")]
    sources: Vec<Glob>,
}

impl FilterArgs {
    /// Whether no flag is given, so that everything passes.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty() && self.sources.is_empty()
    }

    /// The filter these flags ask for.
    pub fn filter(&self) -> Filter {
        Filter { types: self.types.clone(), sources: self.sources.clone() }
    }
}

/// Tells which events are of interest; the default is all of them.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    types: Vec<Glob>,
    sources: Vec<Glob>,
}

impl Filter {
    /// Whether an event passes.
    pub fn matches(&self, event: &Event) -> bool {
        let any = |globs: &[Glob], text| globs.is_empty() || globs.iter().any(|glob| glob.0.is_match(text));
        any(&self.types, event.event_type()) && any(&self.sources, event.source())
    }
}

/// One pattern. The matcher is made for file names, of which this uses only the syntax: a slash is a character like any other.
#[derive(Clone)]
struct Glob(GlobMatcher);

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.glob().glob(), f)
    }
}

impl FromStr for Glob {
    type Err = globset::Error;

    fn from_str(text: &str) -> Result<Self, globset::Error> {
        let glob = GlobBuilder::new(text).literal_separator(false).backslash_escape(true).build()?;
        Ok(Self(glob.compile_matcher()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(types: &[&str], sources: &[&str], event_type: &str, source: &str) -> bool {
        let globs = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let filter = FilterArgs { types: globs(types), sources: globs(sources) }.filter();
        filter.matches(&Event::foreign(event_type, source).build().unwrap())
    }

    #[test]
    fn no_glob_lets_everything_pass() {
        assert!(passes(&[], &[], "a.b", "s"));
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (glob, event_type, matches) in [
            ("slack.*", "slack.join", true),
            ("slack.*", "slack.user.join", true),
            ("slack.*", "slack.", true),
            ("slack.*", "slackware.join", false),
            ("*.join", "slack.join", true),
            ("*", "a/b.c", true),
            ("a.?", "a.b", true),
            ("a.?", "a.bc", false),
            ("{a,b}.c", "b.c", true),
            ("a.[bc]", "a.d", false),
            ("a.b", "a.b", true),
            ("a.b", "A.B", false),
            (r"a\*", "a*", true),
        ] {
            assert_eq!(passes(&[glob], &[], event_type, "s"), matches, "{glob} {event_type}");
        }
    }

    #[test]
    fn one_glob_of_each_kind_has_to_match() {
        assert!(passes(&["x.*", "a.*"], &["s"], "a.b", "s"));
        assert!(!passes(&["a.*"], &["t"], "a.b", "s"));
        assert!(!passes(&["x.*"], &["s"], "a.b", "s"));
    }

    #[test]
    fn a_glob_that_is_none_is_refused() {
        for bad in ["[a", "{a,b", "a\\"] {
            assert!(bad.parse::<Glob>().is_err(), "{bad}");
        }
    }
}
