//! Case 65: everything at once, at random, for a while.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events_core::{Delivery, EventConsumer, Result};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::scene::{Scene, dead_letters, numbered, receive_once};
use crate::{Fault, Harness, Shown};

const COUNT: usize = 1_500;

/// How many consumers share the work.
const CONSUMERS: usize = 3;

/// How long the soak may take; most of it is waiting for leases of what was dropped.
const DEADLINE: Duration = Duration::from_secs(90);

/// Numbers that differ from run to run and can be had again from their seed.
struct Chance(u64);

impl Chance {
    /// A number below `below`, by xorshift: good enough to mix things up.
    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// 65: with random acks, nacks, releases, drops and dying consumers, and with the broker's connections cut and the broker
/// killed where that can be done, every event is acknowledged in the end and none is a dead letter.
pub async fn survives_a_random_mix(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    let seed = u64::try_from(Uuid::now_v7().as_u128() & u128::from(u32::MAX)).unwrap_or(0) | 1;
    scene.publish_events(&numbered(0..COUNT)).await;
    let done = Arc::new(Mutex::new(BTreeSet::new()));
    let count = || done.lock().unwrap_or_else(PoisonError::into_inner).len();
    let many = NonZeroU32::new(100_000).expect("not zero");
    let mut running = JoinSet::new();
    let mut chance = Chance(seed);
    let end = Instant::now() + DEADLINE;
    let mut faults = vec![Fault::RestartBroker, Fault::CutConnections];
    while count() < COUNT {
        assert!(Instant::now() < end, "{} of {COUNT} are done after {DEADLINE:?}, seed {seed}", count());
        // Those that died are replaced.
        while running.len() < CONSUMERS {
            let consumer = scene.consumer_with(scene.options("g").with_max_deliveries(many)).await;
            running.spawn(consume(consumer, Arc::clone(&done), Chance(chance.below(u64::MAX) | 1)));
        }
        if count() > COUNT / (faults.len() + 1)
            && let Some(fault) = faults.pop()
        {
            harness.cause(fault).await;
        }
        harness.advance(harness.lease() / 10).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        while let Some(ended) = running.try_join_next() {
            ended.unwrap_or_else(|error| panic!("a consumer broke: {error}, seed {seed}"));
        }
    }
    running.shutdown().await;
    assert_eq!(*done.lock().unwrap_or_else(PoisonError::into_inner), (0..COUNT).collect());
    if let Some(letters) = dead_letters(&*scene.admin().await).await {
        assert_eq!(letters, [], "seed {seed}");
    }
    Shown::Yes
}

/// Consumes until it dies by chance, which is when it returns.
async fn consume(
    mut consumer: Box<dyn EventConsumer>,
    done: Arc<Mutex<BTreeSet<usize>>>,
    mut chance: Chance,
) {
    loop {
        let max = usize::try_from(chance.below(20)).unwrap_or(0) + 1;
        let max = NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN);
        let deliveries =
            match receive_once(&mut *consumer, max, Duration::from_millis(chance.below(50))).await {
                Ok(deliveries) => deliveries,
                Err(error) => {
                    assert!(error.is_transient(), "receiving fails for good: {error:?}");
                    continue;
                }
            };
        for delivery in deliveries {
            let number = crate::scene::number(&delivery);
            match settle(delivery, chance.below(100)).await {
                Ok(true) => drop(done.lock().unwrap_or_else(PoisonError::into_inner).insert(number)),
                Ok(false) => {}
                Err(error) => assert!(error.is_transient(), "settling fails for good: {error:?}"),
            }
        }
        match chance.below(60) {
            0 => return,
            1 => {
                consumer.close().await.expect("a consumer closes");
                return;
            }
            _ => {}
        }
    }
}

/// Ends a delivery in one of many ways; whether it is acknowledged.
async fn settle(delivery: Delivery, choice: u64) -> Result<bool> {
    match choice {
        0..10 => delivery.nack().await?,
        10..14 => delivery.release().await?,
        14..17 => drop(delivery),
        _ => {
            delivery.ack().await?;
            return Ok(true);
        }
    }
    Ok(false)
}
