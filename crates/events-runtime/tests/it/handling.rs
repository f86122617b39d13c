//! Consuming: cases 20, 31, 40 and 41 of the conformance list, and what each outcome of a handler leads to.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use events_core::{DeadLetterReason, Event};
use events_runtime::{
    Context, Deduplicate, Failure, Outcome, RateLimit, Typed, Unmatched, Worker, WorkerConfig,
};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::brokers::{Broker, on_every_broker};
use crate::support::{
    Log, Number, config, dead_letters, event, eventually, expect_all_settled, number, numbered, options,
    publish,
};

async fn worker(broker: &impl Broker, config: WorkerConfig) -> Worker {
    Worker::new(broker.consumer(options()).await, config).unwrap()
}

async fn each_event_goes_to_the_first_handler_that_matches(broker: impl Broker) {
    let types = ["slack-usergroups.update", "slack-usergroups.delete", "other.a.b", "other.plain", "Foreign"];
    let events = types.map(|event_type| {
        Event::foreign(event_type, "s").with_payload(serde_json::json!({ "n": 1 })).build().unwrap()
    });
    publish(&broker, &events).await;
    let log = Log::new();
    let noting = |name: &'static str| {
        let log = log.clone();
        move |context: Context, _: Arc<Event>| {
            log.push((name, context.event().event_type().to_owned()));
            async { Ok::<(), Failure>(()) }
        }
    };
    let report = worker(&broker, config())
        .await
        .on("slack-usergroups.update", noting("exact"))
        .on("slack-usergroups.*", noting("star"))
        .on("other.**", noting("stars"))
        .otherwise(noting("rest"))
        .until_drained()
        .run()
        .await
        .unwrap();
    assert_eq!((report.acked, report.failed), (5, 0));
    let mut seen = log.entries();
    seen.sort();
    let expected = ["exact", "rest", "star", "stars", "stars"].into_iter();
    let types = ["slack-usergroups.update", "Foreign", "slack-usergroups.delete", "other.a.b", "other.plain"];
    assert_eq!(seen, expected.zip(types.map(str::to_owned)).collect::<Vec<_>>());
    expect_all_settled(&broker).await;
}

async fn an_event_without_a_handler_is_acknowledged_or_dead_lettered(broker: impl Broker) {
    publish(&broker, &numbered(0..2)).await;
    let report = worker(&broker, config()).await.with_limit(2).run().await.unwrap();
    assert_eq!((report.acked, report.dead_lettered), (2, 0));
    publish(&broker, &numbered(2..3)).await;
    let mut strict = config();
    strict.unmatched = Unmatched::DeadLetter;
    let report = worker(&broker, strict).await.with_limit(1).run().await.unwrap();
    assert_eq!((report.acked, report.dead_lettered), (0, 1));
    assert_eq!(dead_letters(&broker).await.len(), 1);
    expect_all_settled(&broker).await;
}

async fn a_failed_event_is_tried_again_and_acknowledged_when_it_succeeds(broker: impl Broker) {
    publish(&broker, &numbered(0..20)).await;
    let attempts = Log::new();
    let seen = attempts.clone();
    let handler = move |context: Context, number: Typed<Number>| {
        seen.push((number.n, context.attempt()));
        async move {
            match context.attempt() {
                1 | 2 if number.n.is_multiple_of(2) => Err(std::io::Error::other("not yet")),
                _ => Ok(()),
            }
        }
    };
    let stop = async {
        eventually("all are handled", || attempts.len() == 40).await;
    };
    let report = worker(&broker, config()).await.on("**", handler).run_until(stop).await.unwrap();
    assert_eq!((report.acked, report.failed, report.dead_lettered), (20, 20, 0));
    let mut of_one: Vec<u32> =
        attempts.entries().into_iter().filter(|(n, _)| *n == 4).map(|(_, attempt)| attempt).collect();
    of_one.sort_unstable();
    assert_eq!(of_one, [1, 2, 3]);
    expect_all_settled(&broker).await;
}

async fn c20_what_keeps_failing_is_dead_lettered_with_its_last_error(broker: impl Broker) {
    publish(
        &broker,
        &[event("bad.error", 0), event("bad.panic", 1), event("bad.timeout", 2), event("good.one", 3)],
    )
    .await;
    let tries = Arc::new(AtomicUsize::new(0));
    let (counted, seen) = (Arc::clone(&tries), Arc::clone(&tries));
    let count = move || seen.fetch_add(1, Ordering::SeqCst);
    let counts = [count.clone(), count.clone(), count];
    let [error, panic, timeout] = counts;
    let mut config = config();
    config.retry.attempts = NonZeroU32::new(3).unwrap();
    config.timeout = Some(Duration::from_millis(50));
    let stop =
        async { eventually("all were tried three times", || counted.load(Ordering::SeqCst) == 9).await };
    let report = worker(&broker, config)
        .await
        .on("bad.error", move |_: Context| {
            error();
            async { Err::<(), _>("the database is away") }
        })
        .on("bad.panic", move |_: Context| -> std::future::Ready<Outcome> {
            panic();
            panic!("out of cheese")
        })
        .on("bad.timeout", move |_: Context| {
            timeout();
            std::future::pending::<Outcome>()
        })
        .run_until(async {
            stop.await;
            sleep(Duration::from_millis(200)).await;
        })
        .await
        .unwrap();
    assert_eq!((report.acked, report.failed, report.dead_lettered), (1, 6, 3));
    let letters = dead_letters(&broker).await;
    let details: HashMap<u64, (DeadLetterReason, u32, String)> = letters
        .into_iter()
        .map(|letter| {
            let body: serde_json::Value = serde_json::from_slice(letter.message.body().unwrap()).unwrap();
            let details = (letter.reason, letter.attempts, letter.detail.unwrap_or_default());
            (body["payload"]["n"].as_u64().unwrap(), details)
        })
        .collect();
    for (n, word) in [(0, "database"), (1, "cheese"), (2, "longer than 50ms")] {
        let (reason, attempts, detail) = &details[&n];
        assert_eq!((*reason, *attempts), (DeadLetterReason::Rejected, 3));
        assert!(detail.contains(word), "{detail}");
    }
    expect_all_settled(&broker).await;
}

async fn what_cannot_get_better_is_dead_lettered_at_once(broker: impl Broker) {
    let misfit = Event::new("bad.payload", "s", serde_json::json!({ "n": "four" })).unwrap();
    publish(&broker, &[misfit, event("bad.permanent", 1)]).await;
    let called = Arc::new(AtomicU64::new(0));
    let calls = Arc::clone(&called);
    let report = worker(&broker, config())
        .await
        .on("bad.payload", move |_: Context, _: Typed<Number>| {
            calls.fetch_add(1, Ordering::SeqCst);
            async { Ok::<(), Failure>(()) }
        })
        .on("bad.permanent", async |_: Context| Err::<(), _>(Failure::permanent("no such group")))
        .with_limit(2)
        .run()
        .await
        .unwrap();
    assert_eq!((report.failed, report.dead_lettered, called.load(Ordering::SeqCst)), (0, 2, 0));
    let letters = dead_letters(&broker).await;
    assert!(letters.iter().all(|letter| letter.attempts == 1 && letter.detail.is_some()), "{letters:?}");
}

async fn c40_c41_the_limits_hold_and_reading_goes_on_when_there_is_room(broker: impl Broker) {
    publish(&broker, &numbered(0..200)).await;
    let gate = Arc::new(Semaphore::new(0));
    let (running, most, started) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Log::new());
    let handler = {
        let (gate, running, most, started) =
            (Arc::clone(&gate), Arc::clone(&running), Arc::clone(&most), started.clone());
        move |_: Context| {
            let (gate, running, most) = (Arc::clone(&gate), Arc::clone(&running), Arc::clone(&most));
            started.push(());
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.acquire().await?.forget();
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<(), Failure>(())
            }
        }
    };
    let mut config = config();
    config.concurrency = NonZeroUsize::new(8).unwrap();
    config.prefetch = Some(4);
    let stop = async {
        eventually("eight run", || started.len() == 8).await;
        // Nothing is acknowledged, so nothing more is taken however long one looks.
        sleep(Duration::from_millis(300)).await;
        assert_eq!(started.len(), 8);
        let (_, pending) = broker.left().await;
        assert!((8..=12).contains(&pending), "{pending} are held");
        gate.add_permits(200);
        eventually("all were handled", || started.len() == 200).await;
    };
    let report = worker(&broker, config).await.on("**", handler).run_until(stop).await.unwrap();
    assert_eq!((report.acked, most.load(Ordering::SeqCst)), (200, 8));
    expect_all_settled(&broker).await;
}

async fn c31_a_handler_slower_than_its_lease_keeps_its_event(broker: impl Broker) {
    let lease = broker.short_lease();
    publish(&broker, &numbered(0..4)).await;
    let mut config = config();
    config.lease = lease;
    let handled = Log::new();
    let seen = handled.clone();
    let consumer = broker.consumer(options().with_lease(lease)).await;
    let handler = move |context: Context| {
        let seen = seen.clone();
        async move {
            sleep(lease * 3).await;
            seen.push(number(context.event()));
            Ok::<(), Failure>(())
        }
    };
    let mut other = broker.consumer(options().with_lease(lease)).await;
    let worker = Worker::new(consumer, config).unwrap().on("**", handler).with_limit(4);
    let rival = async {
        eventually_held(&broker, 4).await;
        other.receive(NonZeroUsize::new(4).unwrap(), lease * 2).await.unwrap().len()
    };
    let (report, stolen) = tokio::join!(worker.run(), rival);
    assert_eq!((report.unwrap().acked, stolen), (4, 0));
    let mut all = handled.entries();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
}

/// Waits until the group holds so many events.
async fn eventually_held(broker: &impl Broker, count: u64) {
    while broker.left().await.1 < count {
        sleep(Duration::from_millis(2)).await;
    }
}

async fn an_event_that_comes_twice_is_handled_once(broker: impl Broker) {
    let twice = |n: u64| {
        let event =
            Event::builder("a.b", "s").with_payload(serde_json::json!({ "n": n })).with_id(n.to_string());
        event.build().unwrap()
    };
    let events: Vec<Event> = (0..50).flat_map(|n| [twice(n), twice(n)]).collect();
    publish(&broker, &events).await;
    let handled = Log::new();
    let seen = handled.clone();
    let handler = move |context: Context| {
        let (seen, n) = (seen.clone(), number(context.event()));
        async move {
            tokio::task::yield_now().await;
            seen.push(n);
            // The first of the two that fails leaves the other to be handled.
            match n == 7 && seen.entries().iter().filter(|seen| **seen == 7).count() == 1 {
                true => Err(Failure::from("once more")),
                false => Ok(()),
            }
        }
    };
    let report = worker(&broker, config())
        .await
        .with(Deduplicate::new(NonZeroUsize::new(100).unwrap()))
        .with(RateLimit::per_second(NonZeroU32::new(10_000).unwrap()))
        .on("**", handler)
        .run_until(async {
            eventually("all are handled", || handled.len() >= 51).await;
            while broker.left().await != (0, 0) {
                sleep(Duration::from_millis(2)).await;
            }
        })
        .await
        .unwrap();
    assert_eq!((report.acked, report.failed, handled.len()), (100, 1, 51));
    expect_all_settled(&broker).await;
}

on_every_broker!(
    each_event_goes_to_the_first_handler_that_matches,
    an_event_without_a_handler_is_acknowledged_or_dead_lettered,
    a_failed_event_is_tried_again_and_acknowledged_when_it_succeeds,
    c20_what_keeps_failing_is_dead_lettered_with_its_last_error,
    what_cannot_get_better_is_dead_lettered_at_once,
    c40_c41_the_limits_hold_and_reading_goes_on_when_there_is_room,
    c31_a_handler_slower_than_its_lease_keeps_its_event,
    an_event_that_comes_twice_is_handled_once,
);
