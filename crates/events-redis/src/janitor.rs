//! `Janitor`: what a consumer or publisher does for everybody now and then: removing consumers that are gone, and trimming.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use events_core::{Error, ErrorKind, Retention, TrimReport};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::RedisConfig;
use crate::client::{Code, StreamClient};
use crate::membership::Membership;

/// A consumer counts as gone after so many leases at least, however short the configured time.
const LEASES: u32 = 3;

/// Names are looked for so often within the time after which they go, since listing thousands costs milliseconds.
const LOOKS: u32 = 4;

/// A task of its own, which ends with this value. Whatever it is doing then is done at the server or not at all.
#[derive(Debug)]
pub(crate) struct Janitor(JoinHandle<()>);

impl Drop for Janitor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Janitor {
    /// Cares for a stream, and for the group of `member` if there is one; `None` when there is nothing to do.
    ///
    /// Must be called within a tokio runtime.
    pub(crate) fn start(
        config: &RedisConfig,
        client: &StreamClient,
        member: Option<&Arc<Membership>>,
    ) -> Option<Self> {
        let reaps = config.reap_after.zip(member).map(|(idle, member)| {
            let idle = idle.max(member.lease.saturating_mul(LEASES));
            (Arc::clone(member), idle)
        });
        let mut trims = Some(config.retention.clone()).filter(|retention| !retention.keeps_everything());
        if reaps.is_none() && trims.is_none() {
            return None;
        }
        let (client, interval) = (client.impatient(), config.upkeep_interval);
        Some(Self(tokio::spawn(async move {
            let mut next_look = Instant::now();
            loop {
                tokio::time::sleep(spread(interval)).await;
                if let Some((member, idle)) = &reaps
                    && next_look <= Instant::now()
                {
                    reap(&client, member, *idle).await;
                    next_look = Instant::now() + *idle / LOOKS;
                }
                if let Some(retention) = &trims
                    && !tidy(&client, retention).await
                {
                    trims = None;
                }
            }
        })))
    }
}

/// Half to one and a half times `interval`, so that those who started together do not come together.
fn spread(interval: Duration) -> Duration {
    // Any quickly changing number will do.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    interval / 2 + interval * (now / 7 % 1_000) / 1_000
}

async fn reap(client: &StreamClient, member: &Membership, idle: Duration) {
    match client.reap(member, idle).await {
        Ok(gone) if gone.is_empty() => {}
        Ok(gone) => {
            info!(
                stream = &**client.stream_key(),
                group = member.group,
                ?gone,
                "consumers that are gone were removed"
            );
        }
        // The reader makes a lost group again, and says so.
        Err(error) if matches!(error.code(), Code::GroupLost | Code::NoKey) => {}
        Err(error) => debug!(%error, "consumers that are gone were not looked for"),
    }
}

/// Trims; false when there is no use in trying again.
async fn tidy(client: &StreamClient, retention: &Retention) -> bool {
    let stream = &**client.stream_key();
    match trim(client, retention).await {
        Ok(report) => {
            if let Some(held_by) = &report.held_by {
                let (group, id) = (&held_by.group, &held_by.message_id);
                debug!(stream, group, %id, "events that were to go are still needed");
            }
            if report.removed > 0 {
                debug!(stream, removed = report.removed, "old events were removed");
            }
        }
        Err(error) if error.is_transient() => debug!(stream, %error, "the stream was not trimmed"),
        Err(error) => {
            warn!(stream, %error, "the stream cannot be trimmed");
            return error.kind() != ErrorKind::Unsupported;
        }
    }
    true
}

/// Trims until nothing is left that may go. Each step is short, so that others get their turn between them.
pub(crate) async fn trim(client: &StreamClient, retention: &Retention) -> Result<TrimReport, Error> {
    let mut report = TrimReport::new();
    loop {
        let Some(step) = client.trim(retention).await.map_err(Error::from)? else {
            let message = "the server refuses scripts, and without them what a group needs might be removed";
            return Err(Error::new(ErrorKind::Unsupported, "trim", message));
        };
        report.removed += step.report.removed;
        if step.report.cut > 0 {
            let (stream, cut) = (&**client.stream_key(), step.report.cut);
            warn!(stream, cut, "events were cut that a group still needed: `hard_max_events`");
            report.cut += cut;
        }
        if !step.more {
            report.held_by = step.report.held_by;
            return Ok(report);
        }
    }
}
