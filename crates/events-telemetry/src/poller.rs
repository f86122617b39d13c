//! Looks at a stream every so often, for what no single consumer can see.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events_core::{Error, ErrorKind, EventAdmin, GroupStatus, Result};
use metrics::gauge;
use time::OffsetDateTime;
use tokio::time::{sleep, timeout};

use crate::Health;
use crate::metric::{DEAD_LETTERS, LAG, OLDEST_PENDING, PENDING};

/// How often the broker is asked whether it is there, between two looks.
const ASKING: Duration = Duration::from_secs(2);

/// How long an answer may take before the broker counts as away. Clients wait for longer before they give up.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks at a stream from outside.
#[derive(Debug)]
pub struct Poller {
    admin: Arc<dyn EventAdmin>,
    stream: String,
    group: String,
    health: Health,
    /// Of groups whose oldest pending event the broker has forgotten the last delivery of: which event that is, by when it was
    /// published, and since when it is the oldest.
    forgotten: HashMap<String, (Option<OffsetDateTime>, Instant)>,
    /// The groups that metrics said something of at the last look.
    said: BTreeSet<String>,
    /// Whether the broker takes the little question that is asked between two looks.
    can_ask: bool,
}

impl Poller {
    /// Looks through `admin` and tells `health` how `group` gets on; metrics say so of every group.
    pub fn new(
        admin: Arc<dyn EventAdmin>,
        stream: impl Into<String>,
        group: impl Into<String>,
        health: Health,
    ) -> Self {
        let (stream, group) = (stream.into(), group.into());
        let (forgotten, said) = (HashMap::new(), BTreeSet::new());
        Self { admin, stream, group, health, forgotten, said, can_ask: true }
    }

    /// Looks now, and again every so often, for as long as it is awaited. In between, the broker is asked every 2 s whether
    /// it is there, so that a program is not ready within 5 s of losing it, and ready again as soon.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the looking.
    pub async fn run(mut self, every: Duration) {
        let mut due = Instant::now();
        loop {
            let now = Instant::now();
            if now >= due {
                self.look().await;
                due = now + every;
            } else if self.can_ask {
                self.ask().await;
            }
            sleep(ASKING.min(due.saturating_duration_since(Instant::now()))).await;
        }
    }

    /// Whether the broker is there. One that refuses the question is, and is not asked it again.
    async fn ask(&mut self) {
        match self.answer(self.admin.last_id()).await {
            Err(error) if !error.is_transient() => self.can_ask = false,
            answer => self.health.answered(answer.err().as_ref()),
        }
    }

    /// Waits for an answer to the end, and tells health when it takes long.
    async fn answer<T>(&self, question: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let mut question = pin!(question);
        if let Ok(answer) = timeout(PATIENCE, &mut question).await {
            return answer;
        }
        let silent = format!("no answer within {} s", PATIENCE.as_secs());
        self.health.answered(Some(&Error::new(ErrorKind::Timeout, "look at the stream", silent)));
        question.await
    }

    async fn look(&mut self) {
        match self.answer(self.admin.state()).await {
            Err(error) => self.health.looked(Err(&error)),
            Ok(mut state) => {
                state.groups.iter_mut().for_each(|group| self.fill_in(group));
                state.groups.iter().for_each(|group| self.say(group));
                self.let_go_of_those_missing(&state.groups);
                if let Some(letters) = state.dead_letters {
                    gauge!(DEAD_LETTERS, "stream" => self.stream.clone()).set(letters as f64);
                }
                let group = state.groups.into_iter().find(|group| group.name == self.group);
                self.health.looked(Ok(group));
            }
        }
    }

    /// An event that was given back and is nobody's lies as much as any other: for as long as it has been seen to, at least.
    fn fill_in(&mut self, group: &mut GroupStatus) {
        // Without its time of publication it cannot be told from the one that was the oldest before.
        let is_told = group.oldest_pending.is_some() || group.oldest_pending_published_at.is_none();
        if group.pending == 0 || is_told {
            self.forgotten.remove(&group.name);
            return;
        }
        let now = (group.oldest_pending_published_at, Instant::now());
        let since = self.forgotten.entry(group.name.clone()).or_insert(now);
        if since.0 != now.0 {
            *since = now;
        }
        group.oldest_pending = Some(since.1.elapsed());
    }

    /// A group that is gone has nothing left to do. Its gauges would say for ever how it stood when it went: nobody can take
    /// one back from a recorder of the `metrics` crate. And one that is no number would spoil every sum over the groups.
    fn let_go_of_those_missing(&mut self, groups: &[GroupStatus]) {
        let there = groups.iter().map(|group| group.name.clone()).collect();
        for gone in std::mem::replace(&mut self.said, there).difference(&self.said) {
            self.say(&GroupStatus::new(gone.clone(), Some(0), 0, None));
            self.forgotten.remove(gone);
        }
    }

    fn say(&self, group: &GroupStatus) {
        let labels = [("stream", self.stream.clone()), ("group", group.name.clone())];
        // What the broker cannot tell is no number, rather than the last one it told, or nothing.
        let oldest = match group.oldest_pending {
            None if group.pending > 0 => f64::NAN,
            oldest => oldest.unwrap_or_default().as_secs_f64(),
        };
        gauge!(LAG, &labels).set(group.lag.map_or(f64::NAN, |lag| lag as f64));
        gauge!(PENDING, &labels).set(group.pending as f64);
        gauge!(OLDEST_PENDING, &labels).set(oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events_memory::MemoryBroker;

    #[test]
    fn an_event_whose_last_delivery_is_forgotten_lies_for_as_long_as_it_has_been_seen() {
        let health = Health::new("s", crate::HealthConfig { stall_after: Duration::ZERO });
        let mut poller = Poller::new(Arc::new(MemoryBroker::default().admin("s")), "s", "g", health.clone());
        let mut look = |published_at: Option<i64>, pending| {
            let mut group = GroupStatus::new("g", Some(0), pending, None);
            group.oldest_pending_published_at =
                published_at.map(|at| OffsetDateTime::from_unix_timestamp(at).unwrap());
            poller.fill_in(&mut group);
            let oldest = group.oldest_pending;
            health.looked(Ok(Some(group)));
            oldest
        };
        let first = look(Some(1), 1).unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while look(Some(1), 1).unwrap() < first + Duration::from_millis(5) {
            assert!(Instant::now() < end, "it does not grow older");
        }
        assert!(!health.readiness().is_ready(), "what is given back and taken by nobody stalls as well");
        assert!(look(Some(2), 1).unwrap() < Duration::from_millis(5), "another is the oldest now");
        assert_eq!(look(None, 0), None);
        assert_eq!(look(None, 5), None, "where nothing is told, nothing is made up");
        assert!(health.readiness().is_ready());
    }

    /// A broker that has been silent for as long as it is told to be.
    #[tokio::test(start_paused = true)]
    async fn a_broker_that_does_not_answer_in_time_is_away_until_it_does() {
        let health = Health::new("s", crate::HealthConfig::default());
        let poller = Poller::new(Arc::new(MemoryBroker::default().admin("s")), "s", "g", health.clone());
        let late = async {
            sleep(PATIENCE * 2).await;
            Ok(7)
        };
        let (answer, ()) = tokio::join!(poller.answer(late), async {
            sleep(PATIENCE / 2).await;
            assert!(!health.readiness().reasons.concat().contains("no answer"));
            sleep(PATIENCE).await;
            let wanted = "the broker cannot be asked: look at the stream: no answer within 3 s";
            assert_eq!(health.readiness().reasons, [wanted]);
        });
        assert_eq!(answer.unwrap(), 7, "it is waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn between_two_looks_the_broker_is_asked_whether_it_is_there() {
        let health = Health::new("s", crate::HealthConfig::default());
        let poller = Poller::new(Arc::new(MemoryBroker::default().admin("s")), "s", "g", health.clone());
        let polling = tokio::spawn(poller.run(Duration::from_secs(3600)));
        sleep(ASKING / 2).await;
        health.consumer_asked(Some(&Error::new(ErrorKind::Unavailable, "XREADGROUP", "away")));
        assert!(!health.readiness().is_ready());
        sleep(ASKING).await;
        assert!(health.readiness().is_ready(), "{:?}", health.readiness());
        polling.abort();
    }
}
