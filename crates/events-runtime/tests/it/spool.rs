//! The spool: order through outages, crashes and restarts, and its limits.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use events_core::{ConsumerOptions, ErrorKind};
use events_redis::{RedisConfig, RedisConsumer, RedisPublisher};
use events_runtime::{DropReason, EventManager, ManagerConfig, Overflow, Spool, SpoolLock};
use events_sqlite::{SqliteAdmin, SqliteConfig, SqliteConsumer, SqlitePublisher};
use tempfile::TempDir;
use test_servers::RedisServer;
use tokio::time::{Instant, interval, sleep};

use crate::brokers::{Broker, on_every_broker};
use crate::outage::Outage;
use crate::support::{
    DEADLINE, event, eventually, firsts, numbered, options, receive_distinct, within_deadline,
};

/// The spool in `directory`, as a service would open it.
async fn spool(directory: &Path) -> Spool {
    let config = SqliteConfig::new(directory.join("spool.db"));
    let options = ConsumerOptions::new("spool").with_consumer_name("manager");
    let lock = SpoolLock::take(&directory.join("spool.db")).unwrap();
    let spool = Spool::new(
        Arc::new(SqlitePublisher::open(&config, "spool").await.unwrap()),
        Box::new(SqliteConsumer::open(&config, "spool", options).await.unwrap()),
        Arc::new(SqliteAdmin::open(&config, "spool").await.unwrap()),
        "spool",
    );
    spool.with_lock(lock)
}

fn config() -> ManagerConfig {
    let mut config = ManagerConfig::default();
    config.overflow = Overflow::Spool;
    config.retry_initial = Duration::from_millis(5);
    config.retry_max = Duration::from_millis(50);
    config.spool.after = Duration::from_millis(200);
    config
}

async fn manager(publisher: Arc<Outage>, directory: &Path, config: ManagerConfig) -> EventManager {
    EventManager::builder(publisher, config).with_spool(spool(directory).await).build().unwrap()
}

async fn keeps_everything_in_order_through_a_short_outage(broker: impl Broker) {
    let directory = TempDir::new().unwrap();
    let outage = Outage::new(broker.publisher().await);
    let manager = manager(Arc::clone(&outage), directory.path(), config()).await;
    let all = broker.many() / 6 * 6;
    for n in 0..all {
        match n * 6 / all {
            1 if n * 6 % all == 0 => outage.hang(),
            3 if n * 6 % all == 0 => outage.fail(),
            5 if n * 6 % all == 0 => outage.end(),
            _ => {}
        }
        manager.publish(event("test.numbered", n));
        if n % (all / 30) == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }
    let mut consumer = broker.consumer(options()).await;
    let came = receive_distinct(&mut *consumer, usize::try_from(all).unwrap()).await;
    assert_eq!(firsts(&came), (0..all).collect::<Vec<_>>());
    let stats = manager.close(DEADLINE).await;
    assert_eq!((stats.accepted, stats.dropped_total(), stats.waiting), (all, 0, 0));
}

on_every_broker!(; in order: keeps_everything_in_order_through_a_short_outage);

/// A process that dies leaves what it has spooled to the next one, which publishes it before anything new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn survives_a_restart_in_order() {
    let (broker, directory) = (crate::brokers::Memory::start(), TempDir::new().unwrap());
    for process in 0..3 {
        let outage = Outage::new(broker.publisher().await);
        outage.fail();
        let manager = manager(outage, directory.path(), config()).await;
        numbered(process * 100..(process + 1) * 100).into_iter().for_each(|event| manager.publish(event));
        let stats = manager.close(DEADLINE).await;
        assert_eq!((stats.recovered, stats.accepted), (process * 100, 100));
        assert_eq!(
            (stats.spooled, stats.dropped_total(), stats.waiting),
            ((process + 1) * 100, 0, 0),
            "{stats:?}"
        );
    }
    let manager = manager(Outage::new(broker.publisher().await), directory.path(), config()).await;
    numbered(300..400).into_iter().for_each(|event| manager.publish(event));
    let mut consumer = broker.consumer(options()).await;
    let came = receive_distinct(&mut *consumer, 400).await;
    assert_eq!(came, (0..400).collect::<Vec<_>>(), "nothing is repeated after an orderly end");
    let stats = manager.close(DEADLINE).await;
    assert_eq!((stats.recovered, stats.published, stats.spooled), (300, 400, 0));
}

/// Tells the child where its spool is.
const SPOOL: &str = "EVENTS_RUNTIME_TEST_SPOOL";

/// Not a test: the process that is killed. It says how many of its events are out of memory, and goes on until it dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run as a process of its own by the test below"]
async fn child() {
    let directory = std::path::PathBuf::from(std::env::var_os(SPOOL).unwrap());
    let outage = Outage::new(crate::brokers::Memory::start().publisher().await);
    outage.fail();
    let manager = manager(outage, &directory, config()).await;
    for n in 0.. {
        manager.publish(event("test.numbered", n));
        if n % 100 == 99 {
            let stats = manager.flush(DEADLINE).await;
            std::fs::write(directory.join("said"), stats.spooled.to_string()).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_had_spooled_goes_out_before_anything_new() {
    let (broker, directory) = (crate::brokers::Memory::start(), TempDir::new().unwrap());
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "spool::child", "--ignored", "--quiet"])
        .env(SPOOL, directory.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let said = || std::fs::read_to_string(directory.path().join("said")).ok()?.parse::<u64>().ok();
    eventually("the child has spooled some", || said().is_some_and(|said| said >= 500)).await;
    // Another process uses the spool, until it is killed.
    let error = SpoolLock::take(&directory.path().join("spool.db")).expect_err("the child has it");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    child.kill().unwrap();
    child.wait().unwrap();
    let said = said().expect("it was just read");
    let manager = manager(Outage::new(broker.publisher().await), directory.path(), config()).await;
    const NEW: u64 = 1_000_000;
    numbered(NEW..NEW + 100).into_iter().for_each(|event| manager.publish(event));
    let stats = manager.close(DEADLINE).await;
    assert!(stats.recovered >= said, "it had said that {said} are safe: {stats:?}");
    assert_eq!((stats.published, stats.dropped_total()), (stats.recovered + 100, 0));
    let mut consumer = broker.consumer(options()).await;
    let came = receive_distinct(&mut *consumer, usize::try_from(stats.published).unwrap()).await;
    assert_eq!(came, (0..stats.recovered).chain(NEW..NEW + 100).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_fills_the_queue_and_then_drops_new_events() {
    let (broker, directory) = (crate::brokers::Memory::start(), TempDir::new().unwrap());
    let outage = Outage::new(broker.publisher().await);
    outage.fail();
    let mut config = config();
    config.spool.max_events = NonZeroU64::new(50).unwrap();
    config.queue = 20.try_into().unwrap();
    config.batch = 10.try_into().unwrap();
    let manager = manager(Arc::clone(&outage), directory.path(), config).await;
    for n in 0..100 {
        manager.publish(event("test.numbered", n));
        // The spool takes what it can before the queue gets the next.
        if n < 50 {
            eventually("the event is spooled", || manager.stats().spooled == n + 1).await;
        }
    }
    let stats = manager.stats();
    assert_eq!((stats.spooled, stats.accepted), (50, 100));
    assert!((20..=30).contains(&stats.waiting), "a queue, and what is in hand: {stats:?}");
    assert_eq!(stats.dropped_total() + stats.waiting, 50);
    assert!(stats.dropped(DropReason::SpoolFull) > 0, "{stats:?}");
    outage.end();
    let stats = manager.flush(DEADLINE).await;
    let kept = 100 - usize::try_from(stats.dropped_total()).unwrap();
    let came = receive_distinct(&mut *broker.consumer(options()).await, kept).await;
    assert!(firsts(&came).is_sorted(), "{came:?}");
}

/// A manager that is closed with its broker away loses nothing either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_at_the_deadline_is_spooled() {
    let (broker, directory) = (crate::brokers::Memory::start(), TempDir::new().unwrap());
    let outage = Outage::new(broker.publisher().await);
    outage.hang();
    let mut config = config();
    config.spool.after = Duration::from_secs(60);
    config.publish_timeout = Duration::from_secs(60);
    let manager = manager(Arc::clone(&outage), directory.path(), config).await;
    numbered(0..100).into_iter().for_each(|event| manager.publish(event));
    eventually("a publish hangs", || outage.calls.load(Ordering::SeqCst) > 0).await;
    let stats = manager.close(Duration::from_millis(50)).await;
    assert_eq!((stats.spooled, stats.dropped_total(), stats.waiting), (100, 0, 0), "{stats:?}");
}

/// Five seconds of a real server that is killed, while a service publishes two thousand events a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_loses_nothing_and_nothing_overtakes() {
    const RATE: u64 = 2_000;
    within_deadline(async {
        let mut server = RedisServer::builder().with_append_only_file().start().expect("a Redis server");
        let redis = RedisConfig::new(server.url()).with_command_timeout(Duration::from_secs(1));
        let publisher = Arc::new(RedisPublisher::connect(&redis, "spooled").await.unwrap());
        let directory = TempDir::new().unwrap();
        let mut settings = config();
        settings.spool.after = Duration::from_secs(1);
        let builder = EventManager::builder(publisher, settings).with_spool(spool(directory.path()).await);
        let manager = builder.build().unwrap();
        let (started, mut next) = (Instant::now(), 0);
        let mut ticks = interval(Duration::from_millis(5));
        let mut killed = false;
        let total = 7 * RATE;
        while next < total {
            ticks.tick().await;
            let passed = started.elapsed();
            if !killed && passed > Duration::from_secs(1) {
                server.kill().expect("the server is killed");
                killed = true;
            }
            if killed && passed > Duration::from_secs(6) && manager.stats().spooled > 0 && !is_up(&server) {
                server.restart().expect("the server comes back");
            }
            let due = (passed.as_secs_f64() * RATE as f64) as u64;
            numbered(next..due.min(total)).into_iter().for_each(|event| manager.publish(event));
            next = due.min(total).max(next);
        }
        let mut consumer = RedisConsumer::connect(&redis, "spooled", options()).await.unwrap();
        let came = receive_distinct(&mut consumer, usize::try_from(total).unwrap()).await;
        assert_eq!(firsts(&came), (0..total).collect::<Vec<_>>());
        let stats = manager.close(DEADLINE).await;
        assert_eq!((stats.accepted, stats.dropped_total(), stats.waiting), (total, 0, 0));
        // A kill leaves open what became of the batch that was on its way, and of that one only.
        assert!(came.len() as u64 - total <= 2 * 256, "{} came for {total}", came.len());
    })
    .await;
}

fn is_up(server: &RedisServer) -> bool {
    server.command(&["PING"]).is_ok()
}
