//! What one part of a bench came to.

use std::time::Duration;

use events_terminal::{Column, Table};
use serde::Serialize;

/// What one part of a bench came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Measure {
    /// `publish` or `consume`.
    what: &'static str,
    events: u64,
    seconds: f64,
    events_per_second: f64,
    payload_megabytes_per_second: f64,
    /// How long one call took: of `publish` a batch, of `consume` taking one and acknowledging it.
    batch_p50_ms: f64,
    batch_p99_ms: f64,
    batch_max_ms: f64,
}

impl Measure {
    /// `batches` is how long each call took.
    pub(super) fn new(
        what: &'static str,
        (events, size): (u64, usize),
        took: Duration,
        mut batches: Vec<Duration>,
    ) -> Self {
        batches.sort_unstable();
        let at = |share: f64| {
            let place = (batches.len() as f64 * share).ceil() as usize;
            let milliseconds = |took: &Duration| took.as_secs_f64() * 1_000.0;
            batches.get(place.saturating_sub(1)).map_or(0.0, milliseconds)
        };
        let seconds = took.as_secs_f64().max(f64::MIN_POSITIVE);
        Self {
            what,
            events,
            seconds,
            events_per_second: events as f64 / seconds,
            payload_megabytes_per_second: events as f64 * size as f64 / 1e6 / seconds,
            batch_p50_ms: at(0.5),
            batch_p99_ms: at(0.99),
            batch_max_ms: at(1.0),
        }
    }
}

pub(super) fn table(measures: &[Measure]) -> Table {
    let columns = ["EVENTS", "SECONDS", "EVENTS/S", "MB/S", "BATCH P50", "P99", "MAX"].map(Column::number);
    let mut table = Table::new(std::iter::once(Column::text("")).chain(columns));
    for measure in measures {
        table.push([
            measure.what.to_owned(),
            measure.events.to_string(),
            format!("{:.2}", measure.seconds),
            format!("{:.0}", measure.events_per_second),
            format!("{:.1}", measure.payload_megabytes_per_second),
            format!("{:.1}ms", measure.batch_p50_ms),
            format!("{:.1}ms", measure.batch_p99_ms),
            format!("{:.1}ms", measure.batch_max_ms),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_percentiles_are_those_of_the_calls() {
        let batches = (1..=100).rev().map(Duration::from_millis).collect();
        let measure = Measure::new("publish", (1_000, 500), Duration::from_secs(2), batches);
        assert_eq!((measure.events_per_second, measure.payload_megabytes_per_second), (500.0, 0.25));
        let near = |found: f64, wanted: f64| (found - wanted).abs() < 1e-6;
        assert!(near(measure.batch_p50_ms, 50.0) && near(measure.batch_p99_ms, 99.0), "{measure:?}");
        assert!(near(measure.batch_max_ms, 100.0), "{measure:?}");
    }
}
