//! Trims a stream: what may go, and who keeps the rest.

use events_core::{HeldBy, Retention, TrimReport};
use time::OffsetDateTime;

use crate::log::{Entry, Position, message_id};
use crate::stream::Stream;

impl Stream {
    /// Removes the oldest events as far as the limits say so and no group needs them.
    pub(crate) fn trim(&mut self, retention: &Retention, date: OffsetDateTime) -> TrimReport {
        let mut report = TrimReport::new();
        // An age that reaches beyond all dates makes nothing too old.
        let too_old = retention.max_age.and_then(|age| date.checked_sub(age.try_into().ok()?));
        while let Some((position, published_at)) = self.oldest() {
            let over = |limit: Option<u64>| limit.is_some_and(|limit| self.log.len() as u64 > limit);
            let needing = self.group_that_needs(position);
            let may_go = over(retention.max_events) || too_old.is_some_and(|moment| published_at < moment);
            match needing {
                None if may_go || over(retention.hard_max_events) => {}
                Some(_) if over(retention.hard_max_events) => report.cut += 1,
                Some(group) if may_go => {
                    report.held_by = Some(HeldBy { group, message_id: message_id(position) });
                    break;
                }
                _ => break,
            }
            self.log.remove(position);
            report.removed += 1;
        }
        report
    }

    fn oldest(&self) -> Option<(Position, OffsetDateTime)> {
        self.log.from(0).next().map(|(position, entry)| (position, entry.published_at))
    }

    fn group_that_needs(&self, position: Position) -> Option<String> {
        let entry: &Entry = self.log.get(position)?;
        let mut groups = self.groups.iter();
        groups.find(|(_, group)| group.needs(position, entry)).map(|(name, _)| name.clone())
    }
}
