//! The table.

use std::io::{Write, stderr, stdout};

use anyhow::Result;

use crate::stats::{Pairs, Spread, spread};

/// What is asked of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    AtLeast(f64),
    AtMost(f64),
    /// A peer, there to be looked at.
    Nothing,
}

impl Asked {
    fn verdict(self, seen: f64) -> &'static str {
        match self {
            Self::AtLeast(bound) if seen < bound => "short",
            Self::AtMost(bound) if seen > bound => "short",
            Self::Nothing => "",
            _ => "ok",
        }
    }

    fn shown(self, unit: &str) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {bound:.2}{unit}"),
            Self::AtMost(bound) => format!("≤ {bound:.2}{unit}"),
            Self::Nothing => String::new(),
        }
    }
}

/// One line.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) measure: String,
    /// What it is compared with, and what that was.
    pub(crate) ceiling: String,
    pub(crate) ours: String,
    pub(crate) asked: Asked,
    pub(crate) seen: Spread,
    /// What the figures of `asked` and `seen` count; empty for ratios.
    pub(crate) unit: &'static str,
}

impl Row {
    /// Events a second beside a ceiling.
    pub(crate) fn of_rates(measure: &str, ceiling: &str, pairs: &Pairs, asked: Asked) -> Self {
        Self {
            measure: measure.to_owned(),
            ceiling: format!("{ceiling} {}", per_second(spread(&pairs.ceiling).median)),
            ours: per_second(spread(&pairs.ours).median),
            asked,
            seen: spread(&pairs.ratios()),
            unit: "",
        }
    }
}

pub(crate) fn per_second(rate: f64) -> String {
    if rate >= 1e6 { format!("{:.2} M/s", rate / 1e6) } else { format!("{:.1} k/s", rate / 1e3) }
}

/// The rows so far. Each is said on standard error when it is there, since the whole takes minutes.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<[String; 7]>,
}

impl Table {
    pub(crate) fn new() -> Self {
        let head = ["measure", "compared with", "ours", "asked", "seen", "spread", ""];
        Self { rows: vec![head.map(str::to_owned)] }
    }

    pub(crate) fn push(&mut self, row: Row) {
        let Row { measure, ceiling, ours, asked, seen, unit } = row;
        let Spread { median, lowest, highest } = seen;
        let cells = [
            measure,
            ceiling,
            ours,
            asked.shown(unit),
            format!("{median:.2}{unit}"),
            format!("{lowest:.2}–{highest:.2}"),
            asked.verdict(median).to_owned(),
        ];
        writeln!(stderr(), "{}", cells.join("  ")).ok();
        self.rows.push(cells);
    }

    pub(crate) fn print(&self) -> Result<()> {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 7] = std::array::from_fn(width);
        let mut out = stdout().lock();
        writeln!(out)?;
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!(" {cell:<width$} "));
            writeln!(out, "|{}|", cells.collect::<Vec<_>>().join("|"))?;
            if number == 0 {
                writeln!(out, "|{}|", widths.map(|width| "-".repeat(width + 2)).join("|"))?;
            }
        }
        Ok(())
    }
}

/// Prints a text as it is.
pub(crate) fn say(text: &str) -> Result<()> {
    Ok(write!(stdout(), "{text}")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_on_the_bound_is_enough() {
        assert_eq!(Asked::AtLeast(0.65).verdict(0.65), "ok");
        assert_eq!(Asked::AtLeast(0.65).verdict(0.649), "short");
        assert_eq!(Asked::AtMost(1.3).verdict(1.31), "short");
        assert_eq!(Asked::Nothing.verdict(0.0), "");
    }
}
