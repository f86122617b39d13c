//! What is kept of a stream's history, and what became of the rest.

use std::time::Duration;

use serde::Deserialize;

use crate::{Error, ErrorKind, MessageId, Result, duration};

/// What is kept of a stream's history. The default keeps everything.
///
/// An event that some group was not given or has not acknowledged is kept by [`max_age`](Self::max_age) and
/// [`max_events`](Self::max_events), and so is everything after it: a group that nobody consumes any more keeps its stream
/// growing. Only [`hard_max_events`](Self::hard_max_events) passes over that. Dead letters have copies of their own and
/// are never trimmed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Retention {
    /// Events older than this go. Default: `none`, which keeps them.
    #[serde(deserialize_with = "duration::deserialize_or_none")]
    pub max_age: Option<Duration>,
    /// Of more events than this the oldest go. Default: no limit.
    pub max_events: Option<u64>,
    /// Of more events than this the oldest go, **though groups may still need them**: what is cut so is lost to these
    /// groups, counted and logged. Default: no limit.
    pub hard_max_events: Option<u64>,
}

impl Retention {
    /// Lets events go that are older than this.
    #[must_use]
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Lets the oldest go where there are more than this.
    #[must_use]
    pub fn with_max_events(mut self, events: u64) -> Self {
        self.max_events = Some(events);
        self
    }

    /// Cuts the oldest where there are more than this, whoever still needs them.
    #[must_use]
    pub fn with_hard_max_events(mut self, events: u64) -> Self {
        self.hard_max_events = Some(events);
        self
    }

    /// Whether everything is kept.
    pub fn keeps_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that the limits agree; a backend calls it before it uses them.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) when the hard limit is below the other.
    pub fn validate(&self) -> Result<()> {
        match (self.max_events, self.hard_max_events) {
            (Some(events), Some(hard)) if hard < events => Err(Error::new(
                ErrorKind::InvalidConfig,
                "retention",
                "`hard_max_events` must not be less than `max_events`",
            )),
            _ => Ok(()),
        }
    }
}

/// What became of a stream that was trimmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrimReport {
    /// Events that are gone now.
    pub removed: u64,
    /// How many of them some group had yet to be given or to acknowledge; only
    /// [`hard_max_events`](Retention::hard_max_events) cuts such.
    pub cut: u64,
    /// What kept events that were to go, if some are still there.
    pub held_by: Option<HeldBy>,
}

impl TrimReport {
    /// Nothing was removed, and nothing was to be.
    pub fn new() -> Self {
        Self::default()
    }
}

/// A group that needs an event which was to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBy {
    /// The group's name.
    pub group: String,
    /// The oldest event that it was not given or has not acknowledged.
    pub message_id: MessageId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        let kind = |retention: Retention| retention.validate().map_err(|error| error.kind());
        assert_eq!(kind(Retention::default().with_max_events(5).with_hard_max_events(5)), Ok(()));
        assert_eq!(kind(Retention::default().with_hard_max_events(0)), Ok(()));
        let contradiction = Retention::default().with_max_events(5).with_hard_max_events(4);
        assert_eq!(kind(contradiction), Err(ErrorKind::InvalidConfig));
    }

    #[test]
    fn nothing_goes_unless_it_is_asked_for() {
        let retention: Retention = serde_json::from_str("{}").unwrap();
        assert!(retention.keeps_everything());
        let retention: Retention = serde_json::from_str(r#"{"max_age": "7days", "max_events": 9}"#).unwrap();
        assert_eq!(
            retention,
            Retention::default().with_max_age(Duration::from_secs(604_800)).with_max_events(9)
        );
        assert!(serde_json::from_str::<Retention>(r#"{"max_lenght": 1}"#).is_err());
    }
}
