//! From one place of a stream to another, fixed before the first event is read.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::Result;
use events_core::{EventAdmin, MessageId, Record, StartFrom};
use events_terminal::Shutdown;

use crate::admin::ask;

/// How many events are read at a time.
const BATCH: NonZeroUsize = NonZeroUsize::new(256).expect("it is not zero");

/// What is left to be read.
///
/// Its end is an event that exists when it is fixed, so that a replay into the same stream does not read what it publishes.
#[derive(Debug)]
pub(super) struct Stretch {
    next: StartFrom,
    end: Option<End>,
}

#[derive(Debug)]
enum End {
    /// The last event of the stretch.
    At(MessageId),
    /// The first event behind the stretch.
    Before(MessageId),
}

impl End {
    /// How many of these events belong to the stretch, if it ends among them or before them.
    fn cut(&self, records: &[Record]) -> Option<usize> {
        match self {
            Self::At(end) => {
                records.iter().position(|record| is_after(&record.message_id, end)).or_else(|| {
                    let at = records.iter().position(|record| record.message_id == *end)?;
                    Some(at + 1)
                })
            }
            Self::Before(end) => records
                .iter()
                .position(|record| record.message_id == *end || is_after(&record.message_id, end)),
        }
    }
}

/// Whether one id comes after another, where ids are numbers, or several joined by dashes. It ends a stretch whose end lies
/// before its beginning, or was trimmed meanwhile, and is then never met.
fn is_after(id: &MessageId, other: &MessageId) -> bool {
    let numbers = |id: &MessageId| id.as_str().split('-').map(str::parse).collect::<Result<Vec<u64>, _>>();
    matches!((numbers(id), numbers(other)), (Ok(id), Ok(other)) if id > other)
}

impl Stretch {
    pub(super) async fn fix(
        admin: &dyn EventAdmin,
        from: &StartFrom,
        to: Option<&StartFrom>,
        shutdown: &mut Shutdown,
    ) -> Result<Self> {
        let newest = ask(shutdown, || admin.last_id()).await?.map(End::At);
        let behind = match to {
            None | Some(StartFrom::Latest) => None,
            Some(to) => ask(shutdown, || admin.read(to, NonZeroUsize::MIN, Duration::ZERO)).await?.pop(),
        };
        let end = match behind {
            Some(record) => Some(End::Before(record.message_id)),
            None => newest,
        };
        Ok(Self { next: from.clone(), end })
    }

    /// The next events; none at the end.
    pub(super) async fn next(
        &mut self,
        admin: &dyn EventAdmin,
        shutdown: &mut Shutdown,
    ) -> Result<Vec<Record>> {
        let Some(end) = &self.end else { return Ok(Vec::new()) };
        let mut records = ask(shutdown, || admin.read(&self.next, BATCH, Duration::ZERO)).await?;
        if let Some(cut) = end.cut(&records) {
            records.truncate(cut);
            self.end = None;
        }
        if let Some(last) = records.last() {
            self.next = StartFrom::After(last.message_id.clone());
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(ids: &[&str]) -> Vec<Record> {
        let record = |id: &&str| Record {
            message_id: MessageId::from(*id),
            published_at: time::OffsetDateTime::UNIX_EPOCH,
            encoding: events_core::wire::Encoding::Adr018,
            event: events_core::Event::builder("a.b", "s").build(),
        };
        ids.iter().map(record).collect()
    }

    #[test]
    fn a_stretch_ends_at_its_end_and_where_it_is_behind_it() {
        let ids = records(&["9-1", "10-0", "10-1", "10-12"]);
        for (end, cut) in [("9-1", 1), ("10-1", 3), ("10-5", 3), ("8-0", 0), ("10-12", 4)] {
            assert_eq!(End::At(end.into()).cut(&ids), Some(cut), "at {end}");
        }
        for (end, cut) in [("9-1", 0), ("10-1", 2), ("10-5", 3), ("8-0", 0)] {
            assert_eq!(End::Before(end.into()).cut(&ids), Some(cut), "before {end}");
        }
        assert_eq!(End::At("11-0".into()).cut(&ids), None);
        assert_eq!(End::Before("11-0".into()).cut(&ids), None);
        let opaque = records(&["b", "a", "c"]);
        assert_eq!(End::At("a".into()).cut(&opaque), Some(2), "an id that is no number is met");
    }
}
