//! The metrics as Prometheus reads them.

use events_core::{Error, ErrorKind, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::metric::{METRICS, MetricKind, describe};

/// Seconds: from a quick local broker to a handler that works for minutes.
const BUCKETS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

/// The metrics of this process as Prometheus reads them.
#[derive(Clone)]
pub struct Exporter {
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

impl Exporter {
    /// Makes the recorder of this process. Before anything is measured: what was measured earlier went nowhere.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) when the process has a recorder already.
    pub fn install() -> Result<Self> {
        let failed = |error| {
            Error::new(ErrorKind::InvalidConfig, "metrics", "there is a recorder already").with_source(error)
        };
        let mut builder = PrometheusBuilder::new();
        for metric in METRICS.iter().filter(|metric| metric.kind == MetricKind::Histogram) {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), &BUCKETS)
                .map_err(failed)?;
        }
        let handle = builder.install_recorder().map_err(failed)?;
        describe();
        Ok(Self { handle })
    }

    /// All metrics as text, in the format of Prometheus.
    pub fn render(&self) -> String {
        // Durations are kept one by one until somebody reads them or upkeep is run.
        self.handle.run_upkeep();
        self.handle.render()
    }

    /// Sorts away what was measured; to be called now and then where nobody reads the metrics.
    pub(crate) fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }
}
