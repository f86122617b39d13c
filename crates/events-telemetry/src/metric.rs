//! Every metric there is: its name, kind, unit, labels and meaning, in one table.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How durations are spread.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, as Prometheus spells it.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// The names of its labels. Their values are configured names or one of a fixed set of words, never an id or a payload.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

const STREAM: &[&str] = &["stream"];
const GROUP: &[&str] = &["stream", "group"];

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Histogram, labels, help }
}

pub(crate) const PUBLISHED: &str = "events_published_total";
pub(crate) const PUBLISH_FAILED: &str = "events_publish_failed_total";
pub(crate) const PUBLISH_DURATION: &str = "events_publish_duration_seconds";
pub(crate) const ACCEPTED: &str = "events_accepted_total";
pub(crate) const QUEUED: &str = "events_queued";
pub(crate) const DROPPED: &str = "events_dropped_total";
pub(crate) const SPOOLED: &str = "events_spooled_total";
pub(crate) const SPOOL_DEPTH: &str = "events_spool_depth";
pub(crate) const RECEIVED: &str = "events_received_total";
pub(crate) const REDELIVERED: &str = "events_redelivered_total";
pub(crate) const ACKED: &str = "events_acked_total";
pub(crate) const NACKED: &str = "events_nacked_total";
pub(crate) const RELEASED: &str = "events_released_total";
pub(crate) const DEAD_LETTERED: &str = "events_dead_lettered_total";
pub(crate) const SETTLE_FAILED: &str = "events_settle_failed_total";
pub(crate) const HANDLE_DURATION: &str = "events_handle_duration_seconds";
pub(crate) const IN_FLIGHT: &str = "events_in_flight";
pub(crate) const RECONNECTS: &str = "events_reconnects_total";
pub(crate) const OUTAGES: &str = "events_outages_total";
pub(crate) const UP: &str = "events_broker_up";
pub(crate) const LAG: &str = "events_lag";
pub(crate) const PENDING: &str = "events_pending";
pub(crate) const OLDEST_PENDING: &str = "events_oldest_pending_seconds";
pub(crate) const DEAD_LETTERS: &str = "events_dead_letters";

/// Every metric there is.
pub const METRICS: &[Metric] = &[
    counter(PUBLISHED, STREAM, "Events the broker has accepted."),
    counter(
        PUBLISH_FAILED,
        &["stream", "kind"],
        "Attempts to publish an event that failed, by kind of error.",
    ),
    histogram(PUBLISH_DURATION, STREAM, "How long publishing a batch took."),
    counter(ACCEPTED, STREAM, "Events a service handed to its event manager."),
    gauge(QUEUED, STREAM, "Events an event manager has in memory and has yet to publish, spool or drop."),
    counter(DROPPED, &["stream", "reason"], "Events an event manager dropped, by reason."),
    counter(
        SPOOLED,
        STREAM,
        "Events an event manager put into its spool, because the broker did not take them.",
    ),
    gauge(SPOOL_DEPTH, STREAM, "Events that lie in an event manager's spool."),
    counter(RECEIVED, GROUP, "Deliveries handed to this consumer."),
    counter(REDELIVERED, GROUP, "Deliveries among them that were not the event's first."),
    counter(ACKED, GROUP, "Deliveries this consumer acknowledged."),
    counter(NACKED, GROUP, "Deliveries this consumer gave back as failed."),
    counter(RELEASED, GROUP, "Deliveries this consumer gave back untried."),
    counter(
        DEAD_LETTERED,
        &["stream", "group", "reason"],
        "Events this consumer moved to the dead letters: rejected, without an attempt left, or no events at all.",
    ),
    counter(SETTLE_FAILED, GROUP, "Deliveries the broker could not be told the end of; they come again."),
    histogram(HANDLE_DURATION, GROUP, "Time from handing out a delivery to the end of it."),
    gauge(IN_FLIGHT, GROUP, "Deliveries in this consumer's hands."),
    counter(
        RECONNECTS,
        STREAM,
        "Connections made anew after they were lost; 0 where a backend keeps none, as with a file or over HTTP.",
    ),
    counter(OUTAGES, STREAM, "Times the broker answered again after it had not."),
    gauge(UP, STREAM, "1 while the broker answers, else 0."),
    gauge(
        LAG,
        GROUP,
        "Events never delivered to the group; NaN where the broker cannot tell, 0 once the group is gone.",
    ),
    gauge(
        PENDING,
        GROUP,
        "Events delivered to the group and neither acknowledged nor dead-lettered; 0 once the group is gone.",
    ),
    gauge(
        OLDEST_PENDING,
        GROUP,
        "Time since the oldest pending event was last delivered, or first seen where the broker has forgotten; 0 when none is, NaN where it never tells.",
    ),
    gauge(DEAD_LETTERS, STREAM, "Dead letters of the stream, of all its groups."),
];

impl Metric {
    /// What it is measured in: seconds, or what it counts.
    pub fn unit(&self) -> &'static str {
        match self.name {
            name if name.ends_with("_seconds") => "seconds",
            RECONNECTS => "connections",
            OUTAGES => "times",
            UP => "0 or 1",
            _ => "events",
        }
    }
}

/// Tells the recorder that is installed what each metric means.
pub fn describe() {
    for metric in METRICS {
        let unit = if metric.unit() == "seconds" { Unit::Seconds } else { Unit::Count };
        match metric.kind {
            MetricKind::Counter => describe_counter!(metric.name, unit, metric.help),
            MetricKind::Gauge => describe_gauge!(metric.name, unit, metric.help),
            MetricKind::Histogram => describe_histogram!(metric.name, unit, metric.help),
        }
    }
}
