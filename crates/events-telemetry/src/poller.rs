//! Looks at a stream every so often, for what no single consumer can see.

use std::sync::Arc;
use std::time::Duration;

use events_core::{EventAdmin, GroupStatus};
use metrics::gauge;

use crate::Health;
use crate::metric::{DEAD_LETTERS, LAG, OLDEST_PENDING, PENDING};

/// Looks at a stream from outside.
#[derive(Debug)]
pub struct Poller {
    admin: Arc<dyn EventAdmin>,
    stream: String,
    group: String,
    health: Health,
}

impl Poller {
    /// Looks through `admin` and tells `health` how `group` gets on; metrics say so of every group.
    pub fn new(
        admin: Arc<dyn EventAdmin>,
        stream: impl Into<String>,
        group: impl Into<String>,
        health: Health,
    ) -> Self {
        Self { admin, stream: stream.into(), group: group.into(), health }
    }

    /// Looks now, and again every so often, for as long as it is awaited.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the looking.
    pub async fn run(self, every: Duration) {
        loop {
            self.look().await;
            tokio::time::sleep(every).await;
        }
    }

    async fn look(&self) {
        match self.admin.state().await {
            Err(error) => self.health.looked(Err(&error)),
            Ok(state) => {
                state.groups.iter().for_each(|group| self.say(group));
                if let Some(letters) = state.dead_letters {
                    gauge!(DEAD_LETTERS, "stream" => self.stream.clone()).set(letters as f64);
                }
                let group = state.groups.into_iter().find(|group| group.name == self.group);
                self.health.looked(Ok(group));
            }
        }
    }

    fn say(&self, group: &GroupStatus) {
        let labels = [("stream", self.stream.clone()), ("group", group.name.clone())];
        if let Some(lag) = group.lag {
            gauge!(LAG, &labels).set(lag as f64);
        }
        gauge!(PENDING, &labels).set(group.pending as f64);
        gauge!(OLDEST_PENDING, &labels).set(group.oldest_pending.unwrap_or_default().as_secs_f64());
    }
}
