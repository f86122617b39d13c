//! Stopping: cases 50 to 53 and 60. Leases are far longer than the tests, so that only giving back can bring an event back.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use events_runtime::{Context, Failure, Outcome, Worker, WorkerConfig};
use tokio::sync::{Notify, Semaphore};
use tokio::time::sleep;

use crate::brokers::{Broker, on_every_broker};
use crate::support::{
    Log, config, dead_letters, eventually, expect_all_settled, number, numbered, options, publish,
    receive_distinct,
};

/// Two handlers at a time, and six events besides.
fn few() -> WorkerConfig {
    let mut config = config();
    config.concurrency = NonZeroUsize::new(2).unwrap();
    config.prefetch = Some(6);
    config.alone_from = 0;
    config
}

async fn c50_c51_a_stop_finishes_what_runs_and_gives_back_the_rest_at_once(broker: impl Broker) {
    publish(&broker, &numbered(0..20)).await;
    let (log, gate) = (Log::new(), Arc::new(Semaphore::new(0)));
    let (begun, opened) = (log.clone(), Arc::clone(&gate));
    let handler = move |context: Context| {
        let gate = Arc::clone(&opened);
        begun.push(number(context.event()));
        async move {
            gate.acquire().await?.forget();
            Ok::<(), Failure>(())
        }
    };
    let worker = Worker::new(broker.consumer(options()).await, few()).unwrap().on("**", handler);
    let stopped = Arc::new(Notify::new());
    let mut other = broker.consumer(options()).await;
    let stop = async {
        eventually("two run", || log.len() == 2).await;
        stopped.notify_one();
    };
    let elsewhere = async {
        stopped.notified().await;
        // Handlers still run while the rest is already somebody else's.
        let rest = receive_distinct(&mut *other, 18).await;
        gate.add_permits(2);
        rest
    };
    let (report, mut rest) = tokio::join!(worker.run_until(stop), elsewhere);
    let report = report.unwrap();
    assert_eq!((report.acked, report.dead_lettered), (2, 0));
    rest.extend(log.entries());
    rest.sort_unstable();
    assert_eq!(rest, (0..20).collect::<Vec<_>>(), "each is handled once");
    expect_all_settled(&broker).await;
}

async fn c52_a_handler_that_does_not_finish_in_time_is_cut_and_its_event_given_back(broker: impl Broker) {
    publish(&broker, &numbered(0..1)).await;
    let begun = Log::new();
    let log = begun.clone();
    let mut config = few();
    config.stop_timeout = Duration::from_millis(50);
    config.retry.attempts = NonZeroU32::MIN;
    // SQS counts what is given back, so there the event has one attempt more.
    let consumer = broker.consumer(options()).await;
    let attempts = if consumer.capabilities().uncounted_release { 1 } else { 2 };
    let few_times = || options().with_max_deliveries(NonZeroU32::new(attempts).unwrap());
    drop(consumer);
    let worker =
        Worker::new(broker.consumer(few_times()).await, config).unwrap().on("**", move |_: Context| {
            log.push(());
            std::future::pending::<Outcome>()
        });
    let stop = async { eventually("the handler runs", || begun.len() == 1).await };
    let report = worker.run_until(stop).await.unwrap();
    assert_eq!((report.acked, report.dead_lettered, report.released), (0, 0, 1));
    let mut other = broker.consumer(few_times()).await;
    assert_eq!(receive_distinct(&mut *other, 1).await, [0], "not even its only attempt was taken from it");
    assert_eq!(dead_letters(&broker).await, []);
}

async fn c52_what_fails_during_a_stop_is_given_back(broker: impl Broker) {
    publish(&broker, &numbered(0..8)).await;
    let (begun, gate) = (Log::new(), Arc::new(Semaphore::new(0)));
    let (log, opened) = (begun.clone(), Arc::clone(&gate));
    let mut config = few();
    config.retry.attempts = NonZeroU32::MIN;
    let worker =
        Worker::new(broker.consumer(options()).await, config).unwrap().on("**", move |_: Context| {
            let gate = Arc::clone(&opened);
            log.push(());
            async move {
                gate.acquire().await?.forget();
                Err::<(), _>(Failure::from("the pool is closed"))
            }
        });
    let stop = async { eventually("two run", || begun.len() == 2).await };
    let opening = async {
        eventually("two run", || begun.len() == 2).await;
        sleep(Duration::from_millis(50)).await;
        gate.add_permits(100);
    };
    let (report, ()) = tokio::join!(worker.run_until(stop), opening);
    let report = report.unwrap();
    assert_eq!((report.acked, report.failed, report.dead_lettered, report.released), (0, 0, 0, 8));
    assert_eq!(dead_letters(&broker).await, []);
    let mut other = broker.consumer(options()).await;
    assert_eq!(receive_distinct(&mut *other, 8).await.len(), 8);
}

async fn c53_a_worker_that_waits_for_events_stops_at_once(broker: impl Broker) {
    let worker = Worker::new(broker.consumer(options()).await, config()).unwrap();
    let report = worker.run_until(sleep(Duration::from_millis(50))).await.unwrap();
    assert_eq!(report, events_runtime::WorkerReport::default());
}

/// 60: a worker that is dropped in the middle repeats no more than it held.
async fn c60_a_worker_that_is_dropped_repeats_at_most_what_it_held(broker: impl Broker) {
    const LEASE: Duration = Duration::from_secs(1);
    publish(&broker, &numbered(0..300)).await;
    let handled = Log::new();
    let log = handled.clone();
    let short = || options().with_lease(LEASE);
    let mut config = few();
    config.lease = LEASE;
    let handler = move |context: Context| {
        log.push(number(context.event()));
        async { Ok::<(), Failure>(()) }
    };
    let worker = Worker::new(broker.consumer(short()).await, config).unwrap().on("**", handler);
    tokio::select! {
        report = worker.run() => panic!("it ends by itself: {report:?}"),
        () = eventually("some are handled", || handled.len() > 100) => {}
    }
    let mut other = broker.consumer(short()).await;
    let mut rest = Vec::new();
    while rest.iter().chain(&handled.entries()).collect::<std::collections::HashSet<_>>().len() < 300 {
        let deliveries = other.receive(NonZeroUsize::new(300).unwrap(), LEASE).await.unwrap();
        rest.extend(deliveries.iter().map(|delivery| number(delivery.event())));
        events_core::ack_all(deliveries).await.into_result().unwrap();
    }
    let repeated = rest.len() + handled.len() - 300;
    assert!(repeated <= 8, "{repeated} are repeated");
}

on_every_broker!(
    c50_c51_a_stop_finishes_what_runs_and_gives_back_the_rest_at_once,
    c52_what_fails_during_a_stop_is_given_back,
    c52_a_handler_that_does_not_finish_in_time_is_cut_and_its_event_given_back,
    c53_a_worker_that_waits_for_events_stops_at_once,
    c60_a_worker_that_is_dropped_repeats_at_most_what_it_held,
);
