//! What a verb found out, for people or for programs.

use anyhow::Result;
use clap::ValueEnum;
use events_terminal::append_json;
use serde::Serialize;
use std::time::Duration;

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// columns for people
    #[default]
    Table,
    /// one JSON object a line, for programs
    Json,
}

/// Appends one line of JSON, in which nothing is raw that a terminal could obey.
pub(crate) fn append_line(out: &mut Vec<u8>, finding: &impl Serialize) -> Result<()> {
    append_json(out, &serde_json::to_string(finding)?);
    out.push(b'\n');
    Ok(())
}

/// A duration as people say it, by its two largest units.
pub(crate) fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units =
        [("d", seconds / 86_400), ("h", seconds / 3_600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    match units.iter().position(|(_, number)| *number > 0) {
        None => format!("{}ms", duration.as_millis()),
        Some(at) => {
            let parts = units[at..].iter().take(2).filter(|(_, number)| *number > 0);
            parts.map(|(unit, number)| format!("{number}{unit}")).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_said_by_its_two_largest_units() {
        for (milliseconds, said) in [
            (0, "0ms"),
            (999, "999ms"),
            (1_500, "1s"),
            (60_000, "1m"),
            (61_000, "1m1s"),
            (3_600_000, "1h"),
            (3_725_000, "1h2m"),
            (90_000_000, "1d1h"),
        ] {
            assert_eq!(age(Duration::from_millis(milliseconds)), said);
        }
    }
}
