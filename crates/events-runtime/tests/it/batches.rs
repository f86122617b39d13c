//! Batches: in order, flushed before they are acknowledged, with a limit, until drained.

use std::num::NonZeroUsize;
use std::time::Duration;

use events_core::Delivery;
use events_runtime::{BatchDone, BatchError, BatchWorker};
use tokio::time::sleep;

use crate::brokers::{Broker, on_every_broker};
use crate::support::{drain, expect_all_settled, number, numbered, options, publish};

async fn worker(broker: &impl Broker, batch: usize) -> BatchWorker {
    BatchWorker::new(broker.consumer(options()).await, NonZeroUsize::new(batch).unwrap())
}

async fn everything_comes_in_order_until_drained(broker: impl Broker) {
    publish(&broker, &numbered(0..1_000)).await;
    let (mut seen, mut batches) = (Vec::new(), 0);
    let report = worker(&broker, 64)
        .await
        .until_drained()
        .run_until(std::future::pending(), async |batch: &[Delivery]| {
            batches += 1;
            seen.extend(batch.iter().map(|delivery| number(delivery.event())));
            Ok::<_, std::io::Error>(BatchDone::all(batch))
        })
        .await
        .unwrap();
    assert_eq!((report.acked, report.released), (1_000, 0));
    assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
    assert!(batches >= 16);
    expect_all_settled(&broker).await;
}

async fn a_limit_is_kept_to_the_event(broker: impl Broker) {
    publish(&broker, &numbered(0..100)).await;
    let mut seen = 0;
    let report = worker(&broker, 64)
        .await
        .with_limit(70)
        .run_until(std::future::pending(), async |batch: &[Delivery]| {
            seen += batch.len();
            Ok::<_, std::io::Error>(BatchDone::all(batch))
        })
        .await
        .unwrap();
    assert_eq!((report.acked, seen), (70, 70));
    let mut other = broker.consumer(options()).await;
    assert_eq!(drain(&mut *other, Duration::from_millis(200)).await, (70..100).collect::<Vec<_>>());
}

async fn only_what_is_done_is_acknowledged(broker: impl Broker) {
    publish(&broker, &numbered(0..10)).await;
    let (mut done, mut left) = (Vec::new(), 0);
    let report = worker(&broker, 10)
        .await
        .run_until(std::future::pending(), async |batch: &[Delivery]| {
            let some = batch.len().div_ceil(2);
            done.extend(batch[..some].iter().map(|delivery| number(delivery.event())));
            left = batch.len() - some;
            Ok::<_, std::io::Error>(BatchDone::then_stop(some))
        })
        .await
        .unwrap();
    assert_eq!((report.acked, report.released), (done.len() as u64, left as u64));
    let failed = worker(&broker, 10)
        .await
        .run_until(std::future::pending(), async |_: &[Delivery]| Err(std::io::Error::other("no space left")))
        .await;
    assert!(matches!(failed, Err(BatchError::Handler(_))), "{failed:?}");
    let mut other = broker.consumer(options()).await;
    done.extend(drain(&mut *other, Duration::from_millis(200)).await);
    done.sort_unstable();
    assert_eq!(done, (0..10).collect::<Vec<_>>(), "each comes to an end once");
}

async fn a_stop_lets_the_batch_finish(broker: impl Broker) {
    publish(&broker, &numbered(0..10)).await;
    let report = worker(&broker, 10)
        .await
        .run_until(sleep(Duration::from_millis(100)), async |batch: &[Delivery]| {
            sleep(Duration::from_millis(300)).await;
            Ok::<_, std::io::Error>(BatchDone::all(batch))
        })
        .await
        .unwrap();
    assert_eq!(report.acked, 10);
    expect_all_settled(&broker).await;
}

async fn a_batch_that_takes_longer_than_its_lease_is_kept(broker: impl Broker) {
    let lease = broker.short_lease();
    publish(&broker, &numbered(0..10)).await;
    let consumer = broker.consumer(options().with_lease(lease)).await;
    let mut rival = broker.consumer(options().with_lease(lease)).await;
    let worker = BatchWorker::new(consumer, NonZeroUsize::new(10).unwrap()).with_lease(lease).with_limit(10);
    let handled = worker.run_until(std::future::pending(), async |batch: &[Delivery]| {
        let stolen = rival.receive(NonZeroUsize::new(10).unwrap(), lease * 3).await.unwrap();
        assert_eq!(stolen.len(), 0);
        Ok::<_, std::io::Error>(BatchDone::all(batch))
    });
    assert_eq!(handled.await.unwrap().acked, 10);
}

on_every_broker!(
    a_stop_lets_the_batch_finish,
    a_batch_that_takes_longer_than_its_lease_is_kept,
    only_what_is_done_is_acknowledged;
    in order: everything_comes_in_order_until_drained,
    a_limit_is_kept_to_the_event,
);
