//! Services from configuration: a manager, a worker, and the two example programs as they stand.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use events_core::wire::Encoding;
use events_core::{ErrorKind, Event, StartFrom};
use events_factory::{
    ConfigLoader, EventsConfig, create_event_admin, create_event_manager, create_event_worker,
    create_seen_store,
};
use events_runtime::{Context, Deduplicate, Failure, ManagerStats, Overflow};
use tempfile::TempDir;
use test_servers::RedisServer;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(60);

/// A port nobody listens on, now or later: it is not for programs.
const NOBODY: &str = "redis://127.0.0.1:1";

fn event(n: u64) -> Event {
    Event::new("test.numbered", "s", serde_json::json!({ "n": n })).unwrap()
}

fn load(text: &str) -> events_core::Result<EventsConfig> {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("events.yaml");
    std::fs::write(&file, text).unwrap();
    Ok(ConfigLoader::new().with_file(file).load()?.into_config())
}

#[test]
fn the_example_file_is_read_to_the_last_setting() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/service.yaml");
    let config = ConfigLoader::new().with_file(file).load().unwrap().into_config();
    assert_eq!(config.manager.overflow, Overflow::Spool);
    assert_eq!(config.manager.headers["service"], "usergroup-api");
    assert_eq!(config.worker.timeout, Some(Duration::from_secs(30)));
    let error = load("events:\n  worker:\n    concurency: 3\n").expect_err("the key is misspelled");
    assert!(error.to_string().contains("concurency"), "{error}");
}

#[tokio::test]
async fn what_a_manager_publishes_a_worker_handles() {
    let config = load(
        "events:\n  url: 'memory:services'\n  stream_key: s\n  consumer_group: g\n  lease: 30s\n  manager:\n    \
         headers: { service: api }\n  worker:\n    concurrency: 2\n",
    )
    .unwrap();
    let manager = create_event_manager(&config).await.unwrap();
    (0..10).for_each(|n| manager.publish(event(n)));
    assert_eq!(manager.close(DEADLINE).await.published, 10);
    let worker = create_event_worker(&config).await.unwrap();
    assert!(format!("{worker:?}").contains("lease: 30s"), "one setting counts for both: {worker:?}");
    let handler = async |context: Context| match context.headers().get("service") {
        Some("api") => Ok(()),
        other => Err(Failure::permanent(format!("{other:?}"))),
    };
    let report = worker.on("test.*", handler).until_drained().run().await.unwrap();
    assert_eq!((report.acked, report.dead_lettered), (10, 0));
}

/// A process ends between handling an event and its repetition: the broker's store remembers what the process cannot.
async fn what_one_process_handled_the_next_does_not(url: &str) {
    let mut config = EventsConfig::new(url).with_stream_key("seen").with_consumer_group("g");
    config.manager.batch_delay = Duration::ZERO;
    let (twice, calls) = (event(1), Arc::new(AtomicU32::new(0)));
    for (fails, acked) in [(1, 1), (0, 1)] {
        let manager = create_event_manager(&config).await.unwrap();
        manager.publish(twice.clone());
        assert_eq!(manager.close(DEADLINE).await.published, 1);
        let store = create_seen_store(&config, Duration::from_secs(600)).await.unwrap();
        config.worker.retry.initial = Duration::from_millis(1);
        let counted = Arc::clone(&calls);
        // Until it has succeeded once it is not remembered.
        let handler = move |context: Context| {
            let call = counted.fetch_add(1, Ordering::SeqCst);
            let failed = fails > 0 && context.attempt() == 1 && call == 0;
            async move { if failed { Err(Failure::from("not yet")) } else { Ok(()) } }
        };
        let done = async {
            let admin = create_event_admin(&config).await.unwrap();
            while admin.groups().await.unwrap().iter().any(|group| group.pending + group.lag.unwrap_or(0) > 0)
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let worker = create_event_worker(&config).await.unwrap();
        let worker = worker.with(Deduplicate::new(NonZeroUsize::MIN).with_store(store)).on("**", handler);
        let report = timeout(DEADLINE, worker.run_until(done)).await.unwrap().unwrap();
        assert_eq!(report.acked, acked, "{report:?}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2, "it failed, succeeded, and was not handled again");
    let other = config.clone().with_consumer_group("other");
    let store = create_seen_store(&other, Duration::from_secs(600)).await.unwrap();
    assert!(!store.is_seen(twice.id().unwrap()).await.unwrap(), "another group handles it for itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_handled_the_next_does_not_in_a_file() {
    let directory = TempDir::new().unwrap();
    let url = format!("sqlite:{}", directory.path().join("events.db").display());
    what_one_process_handled_the_next_does_not(&url).await;
    let config = EventsConfig::new(url.as_str()).with_consumer_group("g");
    let store = create_seen_store(&config, Duration::from_millis(1)).await.unwrap();
    store.remember("short").await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(!store.is_seen("short").await.unwrap(), "its time is over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_handled_the_next_does_not_on_redis() {
    let redis = RedisServer::start().expect("a Redis server");
    what_one_process_handled_the_next_does_not(redis.url()).await;
    let keys = redis.command(&["KEYS", "seen:seen:*"]).unwrap();
    let key = keys.array().unwrap()[0].text().unwrap().to_owned();
    let left = redis.command(&["PTTL", &key]).unwrap().integer().unwrap();
    assert!((1..=600_000).contains(&left), "it goes by itself: {left}");
}

#[tokio::test]
async fn a_backend_without_a_store_says_so() {
    let config = EventsConfig::new("memory:unseen").with_consumer_group("g");
    let error = create_seen_store(&config, DEADLINE).await.expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn with_events_disabled_a_manager_does_nothing() {
    let config = load(&format!("events:\n  enabled: false\n  url: '{NOBODY}'\n")).unwrap();
    let manager = create_event_manager(&config).await.unwrap();
    manager.publish(event(1));
    assert_eq!(manager.close(DEADLINE).await, ManagerStats::default());
    assert_eq!(
        create_event_worker(&config).await.expect_err("no event comes").kind(),
        ErrorKind::InvalidConfig
    );
}

#[tokio::test]
async fn a_broker_that_is_away_keeps_no_service_from_starting_and_a_wrong_configuration_does() {
    let mut config = EventsConfig::new(NOBODY);
    let directory = TempDir::new().unwrap();
    config.manager.overflow = Overflow::Spool;
    let error = create_event_manager(&config).await.expect_err("a spool has no file");
    assert!(error.message().contains("manager.spool.path"), "{error}");
    config.manager.spool.path = Some(directory.path().join("spool.db"));
    config.manager.spool.after = Duration::from_millis(50);
    for before in [0, 5] {
        let manager = create_event_manager(&config).await.unwrap();
        (0..5).for_each(|n| manager.publish(event(n)));
        let stats = manager.flush(DEADLINE).await;
        assert_eq!((stats.recovered, stats.accepted, stats.spooled), (before, 5, before + 5), "{stats:?}");
        manager.close(Duration::ZERO).await;
    }
    config.url = Some(events_factory::BrokerUrl::new("carrier-pigeon:coop"));
    let error = create_event_manager(&config).await.expect_err("there is no such backend");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}

/// A spool keeps whatever the broker will be sent: payloads that are no object, bytes, and their absence.
#[tokio::test]
async fn what_the_encoding_can_carry_is_not_refused_for_the_sake_of_the_spool() {
    let directory = TempDir::new().unwrap();
    let redis = RedisServer::start().unwrap();
    let of_type = |name: &str| Event::builder(format!("a.{name}"), "s").with_extension("retries", 3);
    let events = [
        of_type("list").with_any_payload(serde_json::json!([1, "x"])).build().unwrap(),
        of_type("bytes").with_payload_bytes([0, 255]).build().unwrap(),
        of_type("nothing").without_payload().with_subject("team-a").build().unwrap(),
    ];
    let mut config =
        EventsConfig::new(NOBODY).with_stream_key("spooled").with_encoding(Encoding::CloudEvents);
    config.manager.overflow = Overflow::Spool;
    config.manager.spool.path = Some(directory.path().join("spool.db"));
    config.manager.spool.after = Duration::from_millis(50);
    let away = create_event_manager(&config).await.unwrap();
    events.iter().for_each(|event| away.publish(event.clone()));
    let stats = away.flush(DEADLINE).await;
    assert_eq!((stats.spooled, stats.dropped_total()), (3, 0), "{stats:?}");
    away.close(Duration::ZERO).await;
    config.url = Some(redis.url().into());
    let back = create_event_manager(&config).await.unwrap();
    let admin = create_event_admin(&config).await.unwrap();
    let until = Instant::now() + DEADLINE;
    let records = loop {
        let records = admin
            .read(&StartFrom::Earliest, NonZeroUsize::new(10).unwrap(), Duration::from_millis(100))
            .await
            .unwrap();
        if records.len() == events.len() || Instant::now() > until {
            break records;
        }
    };
    assert!(records.iter().all(|record| record.encoding == Encoding::CloudEvents), "{records:?}");
    let arrived: Vec<Event> = records.into_iter().map(|record| record.event.unwrap()).collect();
    assert_eq!(arrived, events);
    assert_eq!(back.close(DEADLINE).await.dropped_total(), 0);
}

/// Two that shared a spool would publish its events side by side, so the second is told, and may start when the first ends.
#[tokio::test]
async fn a_spool_that_is_in_use_is_refused_to_a_second_manager() {
    let directory = TempDir::new().unwrap();
    let mut config = EventsConfig::new(NOBODY);
    config.manager.overflow = Overflow::Spool;
    config.manager.spool.path = Some(directory.path().join("spool.db"));
    config.manager.spool.after = Duration::from_millis(50);
    config.manager.spool.wait = Duration::from_millis(200);
    let first = create_event_manager(&config).await.unwrap();
    first.publish(event(1));
    assert_eq!(first.flush(DEADLINE).await.spooled, 1);
    let error = create_event_manager(&config).await.expect_err("the first one has it");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().contains("spool.db") && error.message().contains("another manager"), "{error}");
    // What a restart looks like: the new process starts before the old one has ended.
    config.manager.spool.wait = DEADLINE;
    let mut starting = pin!(create_event_manager(&config));
    timeout(Duration::from_millis(200), &mut starting)
        .await
        .expect_err("it waits while the first one has the spool");
    assert_eq!(first.close(Duration::ZERO).await.spooled, 1, "the first one was not disturbed");
    let second = starting.await.unwrap();
    // There is nothing to wait for before there is an event.
    second.publish(event(2));
    let stats = second.flush(DEADLINE).await;
    assert_eq!((stats.recovered, stats.spooled), (1, 2));
}

/// The example's program, which cargo builds together with the tests, beside their directory.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

fn run(name: &str, arguments: &[&str], url: &str) -> String {
    let output = Command::new(example(name)).args(arguments).env("EVENTS_URL", url).output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_the_example_producer_tells_the_example_consumer_handles() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("service.yaml");
    let spool = directory.path().join("spool.db");
    let settings =
        format!("events:\n  manager:\n    overflow: spool\n    spool:\n      path: '{}'\n", spool.display());
    std::fs::write(&file, settings).unwrap();
    let (file, url) =
        (file.to_str().unwrap(), format!("sqlite:{}", directory.path().join("events.db").display()));
    assert_eq!(run("producer", &["3", file], &url), "published 3 spooled 0 dropped 0\n");
    let lines = (0..3).map(|n| format!("team-a request {n} ({n})\n")).collect::<String>();
    assert_eq!(run("consumer", &[file], &url), format!("{lines}acked 3 failed 0 dead-lettered 0\n"));
    assert_eq!(run("consumer", &[], &url), "acked 0 failed 0 dead-lettered 0\n");
}
