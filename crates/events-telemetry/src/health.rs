//! Whether a program that consumes can do its work: whether the broker answers, and whether the group gets on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events_core::{Error, GroupStatus};
use metrics::{Counter, Gauge, counter, gauge};

use crate::metric::{OUTAGES, UP};

/// Who asks when somebody looks at the stream from outside.
const LOOK: &str = "look";

/// When a program counts as not ready.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HealthConfig {
    /// How long a group's oldest pending event may lie since its last delivery before the group counts as stalled.
    /// Default: 5 minutes. To be longer than the lease, after which somebody else takes the event.
    pub stall_after: Duration,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { stall_after: Duration::from_secs(5 * 60) }
    }
}

/// What is known of a program's health. Every clone knows the same.
#[derive(Clone, Debug)]
pub struct Health {
    shared: Arc<Shared>,
}

struct Shared {
    config: HealthConfig,
    state: Mutex<State>,
    up: Gauge,
    outages: Counter,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health")
            .field("config", &self.config)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    /// What the last answer of each asker was: nothing wrong, or what.
    answers: BTreeMap<&'static str, Option<Trouble>>,
    /// Who asked in vain, and has had no answer since.
    unanswered: BTreeSet<&'static str>,
    /// Whether an outage began that has not been counted.
    is_out: bool,
    /// The group that is to get on, where it is looked at.
    group: Option<GroupStatus>,
}

/// Why an answer was none.
#[derive(Debug)]
struct Trouble {
    what: String,
    is_transient: bool,
}

/// Whether a program can do its work, and why not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readiness {
    /// What is wrong, in words for whoever operates it; empty when nothing is.
    pub reasons: Vec<String>,
}

impl Readiness {
    /// Whether nothing is wrong.
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }
}

impl Health {
    /// Nothing is known yet, so it is not ready. `stream` is the name its metrics carry.
    pub fn new(stream: &str, config: HealthConfig) -> Self {
        let shared = Shared {
            config,
            state: Mutex::default(),
            up: gauge!(UP, "stream" => stream.to_owned()),
            outages: counter!(OUTAGES, "stream" => stream.to_owned()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether the program can do its work now.
    pub fn readiness(&self) -> Readiness {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reasons = Vec::new();
        if state.answers.is_empty() {
            reasons.push("the broker has not answered yet".to_owned());
        }
        reasons.extend(
            (state.answers.values().flatten())
                .map(|trouble| format!("the broker cannot be asked: {}", trouble.what)),
        );
        if let Some(group) = &state.group
            && let Some(oldest) =
                group.oldest_pending.filter(|oldest| *oldest > self.shared.config.stall_after)
        {
            reasons.push(format!(
                "consumer group {} stalls: {} pending, the oldest for {} s since its last delivery",
                group.name,
                group.pending,
                oldest.as_secs()
            ));
        }
        Readiness { reasons }
    }

    /// Somebody tried to connect, which a program does that waits for its broker; to be told of each outcome.
    pub fn connected(&self, outcome: Result<(), &Error>) {
        self.asked("connection", outcome.err());
    }

    /// A publisher published.
    pub(crate) fn publisher_asked(&self, error: Option<&Error>) {
        self.asked("publisher", error);
    }

    /// A consumer asked for events.
    pub(crate) fn consumer_asked(&self, error: Option<&Error>) {
        self.asked("consumer", error);
    }

    /// Somebody looked at the stream from outside, and at the group that is to get on.
    pub(crate) fn looked(&self, group: Result<Option<GroupStatus>, &Error>) {
        let error = match group {
            Ok(group) => {
                self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).group = group;
                None
            }
            Err(error) => Some(error),
        };
        self.asked(LOOK, error);
    }

    /// Whoever looks asked only whether the broker is there. That it refused to be looked at stays as it is.
    pub(crate) fn answered(&self, error: Option<&Error>) {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let was_refused = state
            .answers
            .get(LOOK)
            .is_some_and(|answer| answer.as_ref().is_some_and(|trouble| !trouble.is_transient));
        drop(state);
        if !was_refused {
            self.asked(LOOK, error);
        }
    }

    fn asked(&self, who: &'static str, error: Option<&Error>) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = |error: &Error| Trouble { what: chain(error), is_transient: error.is_transient() };
        state.answers.insert(who, error.map(trouble));
        // Who is told late of an outage that is over for others tells of no other one.
        match error {
            Some(_) => state.is_out |= state.unanswered.insert(who),
            None => drop(state.unanswered.remove(who)),
        }
        if who == LOOK && error.is_none() {
            // A consumer that waits for events says only at the end of its wait that the broker is back.
            let passed = |trouble: &Trouble| !trouble.is_transient;
            state.answers.values_mut().for_each(|answer| *answer = answer.take().filter(passed));
        }
        let is_away = state.answers.values().any(Option::is_some);
        self.shared.up.set(if is_away { 0.0 } else { 1.0 });
        if !is_away && std::mem::take(&mut state.is_out) {
            self.shared.outages.increment(1);
        }
    }
}

/// An error with its sources, on one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use events_core::ErrorKind;

    fn group(oldest: Option<Duration>) -> Option<GroupStatus> {
        Some(GroupStatus::new("g", Some(0), 3, oldest))
    }

    #[test]
    fn is_ready_once_the_broker_answers_and_not_while_it_is_away() {
        let health = Health::new("s", HealthConfig::default());
        assert!(!health.readiness().is_ready(), "nobody has asked yet");
        health.consumer_asked(None);
        assert!(health.readiness().is_ready());
        let away = Error::new(ErrorKind::Unavailable, "XREADGROUP", "connection refused");
        health.looked(Err(&away));
        health.consumer_asked(None);
        let reasons = health.readiness().reasons;
        assert!(reasons.len() == 1 && reasons[0].contains("connection refused"), "{reasons:?}");
        health.looked(Ok(None));
        assert!(health.readiness().is_ready());
    }

    #[test]
    fn a_look_that_is_answered_ends_what_passes_and_no_more() {
        let health = Health::new("s", HealthConfig::default());
        for (kind, ready) in [(ErrorKind::Unavailable, true), (ErrorKind::PermissionDenied, false)] {
            health.consumer_asked(Some(&Error::new(kind, "XREADGROUP", "no")));
            assert!(!health.readiness().is_ready());
            health.looked(Ok(None));
            assert_eq!(health.readiness().is_ready(), ready, "{kind:?}");
        }
    }

    #[test]
    fn who_may_not_look_is_not_ready_though_the_broker_is_there() {
        let health = Health::new("s", HealthConfig::default());
        health.looked(Err(&Error::new(ErrorKind::Unavailable, "XINFO", "away")));
        health.answered(None);
        assert!(health.readiness().is_ready());
        health.looked(Err(&Error::new(ErrorKind::PermissionDenied, "XINFO", "no")));
        health.answered(None);
        assert!(!health.readiness().is_ready());
    }

    #[test]
    fn a_group_stalls_when_its_oldest_event_lies_for_too_long() {
        let health = Health::new("s", HealthConfig { stall_after: Duration::from_secs(60) });
        for (oldest, ready) in [(None, true), (Some(60), true), (Some(61), false), (None, true)] {
            health.looked(Ok(group(oldest.map(Duration::from_secs))));
            assert_eq!(health.readiness().is_ready(), ready, "{oldest:?}");
        }
        health.looked(Ok(group(Some(Duration::from_secs(61)))));
        let said = "consumer group g stalls: 3 pending, the oldest for 61 s since its last delivery";
        assert_eq!(health.readiness().reasons, [said]);
    }

    #[cfg(feature = "server")]
    #[test]
    fn an_outage_counts_once_whoever_notices_it_and_however_late() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        let health = metrics::with_local_recorder(&recorder, || Health::new("s", HealthConfig::default()));
        let away = Error::new(ErrorKind::Unavailable, "XREADGROUP", "connection refused");
        let outages = |count: u64| {
            let text = metrics.render();
            assert!(text.contains(&format!("events_outages_total{{stream=\"s\"}} {count}")), "{text}");
        };
        health.consumer_asked(None);
        health.consumer_asked(Some(&away));
        health.looked(Err(&away));
        outages(0);
        health.looked(Ok(None));
        outages(1);
        // Its own connection takes a moment longer.
        health.consumer_asked(Some(&away));
        assert!(!health.readiness().is_ready(), "it cannot work yet");
        health.consumer_asked(None);
        outages(1);
        health.consumer_asked(Some(&away));
        health.consumer_asked(None);
        outages(2);
    }
}
