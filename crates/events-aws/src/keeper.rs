//! Keeps what a consumer has fetched and not handed over, and gives back what must not be kept.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use crate::intake::Intake;

/// The longest the keeper looks away; a lease is at least a second.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs until the consumer is closed.
pub(crate) async fn run(intake: Arc<Intake>) {
    while !intake.is_closed() {
        // Four looks per lease: what has less than half of its lease left is extended with a quarter to spare.
        let lease = match intake.queue.traits().await {
            Ok(traits) => intake.lease(traits),
            // Nothing was received yet, so that there is nothing to keep.
            Err(_) => LONGEST,
        };
        let looked = tokio::time::timeout((lease / 4).min(LONGEST), intake.keeper.notified()).await;
        let returns = {
            let mut holdings = intake.holdings();
            holdings.give_up_expired_groups(Instant::now());
            holdings.take_returns()
        };
        if !returns.is_empty()
            && let Err(error) = intake.give_back(returns).await
        {
            warn!(%error, "messages of a group could not be given back; they come again");
        }
        if looked.is_err() {
            let now = Instant::now();
            let fading = intake.holdings().fading(now + lease / 2, lease, now);
            if !fading.is_empty() {
                intake.extend_shelved(fading).await;
            }
        }
    }
}
