//! Medians, spreads and percentiles.

use std::time::Duration;

use anyhow::Result;

/// Figures of rounds in which a ceiling and a measure took turns.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    pub(crate) ceiling: Vec<f64>,
    pub(crate) ours: Vec<f64>,
}

/// A median and the extremes around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Pairs {
    /// Takes turns, the ceiling first, after one turn of each that does not count: caches, connections and the processor's
    /// clock have settled by then.
    pub(crate) fn measure(
        rounds: usize,
        mut ceiling: impl FnMut() -> Result<f64>,
        mut ours: impl FnMut() -> Result<f64>,
    ) -> Result<Self> {
        let mut pairs = Self::default();
        ceiling()?;
        ours()?;
        for _ in 0..rounds {
            pairs.ceiling.push(ceiling()?);
            pairs.ours.push(ours()?);
        }
        Ok(pairs)
    }

    /// The ratio of each pair.
    pub(crate) fn ratios(&self) -> Vec<f64> {
        self.ours.iter().zip(&self.ceiling).map(|(ours, ceiling)| ours / ceiling).collect()
    }
}

/// Median and extremes; the middle of the upper half where there is no middle.
pub(crate) fn spread(figures: &[f64]) -> Spread {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
    Spread { median: at(sorted.len() / 2), lowest: at(0), highest: at(sorted.len().saturating_sub(1)) }
}

/// The time below which `percent` of the times lie, in milliseconds.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

/// Events a second.
pub(crate) fn rate(events: usize, taken: Duration) -> f64 {
    events as f64 / taken.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ratio_belongs_to_its_own_round() {
        let mut ceilings = [9.0, 10.0, 100.0].into_iter();
        let mut ours = [9.0, 5.0, 75.0].into_iter();
        let pairs = Pairs::measure(2, || Ok(ceilings.next().unwrap()), || Ok(ours.next().unwrap())).unwrap();
        assert_eq!(pairs.ratios(), [0.5, 0.75]);
    }

    #[test]
    fn medians_and_percentiles_are_what_they_say() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Spread { median: 2.0, lowest: 1.0, highest: 3.0 });
        let mut times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!((percentile(&mut times, 50), percentile(&mut times, 99)), (51.0, 100.0));
    }
}
