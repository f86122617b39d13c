//! SQS beside the bare SDK: read from what the bench of events-aws has printed, since only that crate knows the SDK.

use std::fs;

use anyhow::{Context, Result};

use crate::options::Options;
use crate::stats::spread;
use crate::table::{Asked, Row, Table, per_second};

pub(crate) fn measure(options: &Options, table: &mut Table) -> Result<()> {
    let Some(file) = &options.aws else { return Ok(()) };
    let said = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    for (measure, ceiling, ours) in figures(&said) {
        table.push(Row {
            measure: format!("SQS, {measure}"),
            ceiling: format!("bare SDK {}", per_second(ceiling)),
            ours: per_second(ours),
            asked: Asked::Nothing,
            seen: spread(&[ours / ceiling]),
            unit: "",
        });
    }
    Ok(())
}

/// Pairs of lines: `<what> bare SDK <rate>/s` and `<what> events-aws <rate>/s …`.
fn figures(said: &str) -> Vec<(String, f64, f64)> {
    let rate = |text: &str| text.trim().split("/s").next()?.trim().parse::<f64>().ok();
    let mut ceiling = None;
    let mut figures = Vec::new();
    for line in said.lines() {
        if let Some((_, rest)) = line.split_once(" bare SDK ") {
            ceiling = rate(rest);
        } else if let (Some((measure, rest)), Some(bare)) = (line.split_once(" events-aws "), ceiling) {
            figures.extend(rate(rest).map(|ours| (measure.trim().to_owned(), bare, ours)));
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_compared_with_the_one_before() {
        let said = "5000 events of 288 bytes\nsend   bare SDK      2000/s\npublish  events-aws   1500/s   ratio 0.75\n";
        assert_eq!(figures(said), [("publish".to_owned(), 2000.0, 1500.0)]);
    }
}
