//! Which dead letters are meant.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use events_core::{DeadLetter, DeadLetterReason, Event, MessageId};
use events_terminal::{Filter, FilterArgs, Shutdown, parse_duration};
use time::OffsetDateTime;

use crate::admin::{Stream, ask};

/// How many are read at a time.
const PAGE: NonZeroUsize = NonZeroUsize::new(1_000).expect("it is not zero");

/// Which dead letters are meant; all conditions have to hold, of one that is repeated any.
#[derive(Args, Clone, Debug)]
pub(crate) struct SelectionArgs {
    /// Only these
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// Only those that died for this reason; may be repeated
    #[arg(long, value_name = "REASON", value_parser = reasons(), help_heading = "Filter")]
    reason: Vec<DeadLetterReason>,

    /// Only those that failed in this group; may be repeated
    #[arg(long, value_name = "GROUP", help_heading = "Filter")]
    group: Vec<String>,

    /// Only those that have been dead for longer, such as `7d`
    #[arg(long, value_name = "AGE", value_parser = parse_duration, help_heading = "Filter")]
    older_than: Option<Duration>,

    /// Only those that have been dead for less
    #[arg(long, value_name = "AGE", value_parser = parse_duration, help_heading = "Filter")]
    newer_than: Option<Duration>,

    #[command(flatten)]
    filter: FilterArgs,
}

impl SelectionArgs {
    /// Whether anything is asked for at all.
    pub(super) fn is_narrow(&self) -> bool {
        !self.ids.is_empty()
            || !self.reason.is_empty()
            || !self.group.is_empty()
            || self.older_than.is_some()
            || self.newer_than.is_some()
            || !self.filter.is_empty()
    }

    /// Those that are meant, oldest first, at most `limit`.
    pub(super) async fn find(
        &self,
        stream: &Stream,
        limit: usize,
        shutdown: &mut Shutdown,
    ) -> Result<Vec<Found>> {
        let (filter, now) = (self.filter.filter(), OffsetDateTime::now_utc());
        let mut found = Vec::new();
        let mut after: Option<MessageId> = None;
        while found.len() < limit {
            let page = ask(shutdown, || stream.admin.dead_letters(after.as_ref(), PAGE)).await?;
            let Some(last) = page.last() else { break };
            let next = last.id.clone();
            found.extend(page.into_iter().map(Found::new).filter(|found| self.means(found, &filter, now)));
            after = Some(next);
        }
        found.truncate(limit);
        Ok(found)
    }

    fn means(&self, found: &Found, filter: &Filter, now: OffsetDateTime) -> bool {
        let letter = &found.letter;
        let age = now - letter.dead_at;
        (self.ids.is_empty() || self.ids.iter().any(|id| id == letter.id.as_str()))
            && (self.reason.is_empty() || self.reason.contains(&letter.reason))
            && (self.group.is_empty() || self.group.contains(&letter.group))
            && self.older_than.is_none_or(|bound| age > bound)
            && self.newer_than.is_none_or(|bound| age < bound)
            && (self.filter.is_empty() || found.event.as_ref().is_some_and(|event| filter.matches(event)))
    }
}

/// Reads a reason, and lets shells complete it.
fn reasons() -> impl TypedValueParser<Value = DeadLetterReason> {
    let all = [DeadLetterReason::Rejected, DeadLetterReason::MaxDeliveries, DeadLetterReason::Undecodable];
    PossibleValuesParser::new(all.map(DeadLetterReason::as_str)).try_map(|text| text.parse())
}

/// A dead letter, and the event it still is, if it ever was one.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) letter: DeadLetter,
    pub(super) event: Option<Event>,
}

impl Found {
    fn new(letter: DeadLetter) -> Self {
        let event = letter.message.decode(letter.published_at.unwrap_or(letter.dead_at)).ok();
        Self { letter, event }
    }
}
