//! A handler that kills its process on one event: that event ends in the dead letters, all others are handled.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use events_core::{ConsumerOptions, EventAdmin, EventConsumer, EventPublisher};
use events_redis::{RedisAdmin, RedisConfig, RedisConsumer, RedisPublisher};
use events_runtime::{Context, Failure, Worker, WorkerConfig};
use events_sqlite::{SqliteAdmin, SqliteConfig, SqliteConsumer, SqlitePublisher};
use tempfile::TempDir;
use test_servers::RedisServer;

use crate::sqs::{Queue, emulator};
use crate::support::{BATCH, DEADLINE, GROUP, event, number, unique};

/// Tells the child where its broker is, and where to write down what it has handled.
const BROKER: &str = "EVENTS_RUNTIME_TEST_BROKER";
const HANDLED: &str = "EVENTS_RUNTIME_TEST_HANDLED";

/// A whole second, as a queue wants it.
const LEASE: Duration = Duration::from_secs(1);
const EVENTS: u64 = 60;

/// Not a test: what the tests start as a process of its own, and what dies of the event.
#[test]
#[ignore = "run as a process of its own by the tests below"]
fn child() {
    let (broker, handled) = (std::env::var(BROKER).unwrap(), std::env::var_os(HANDLED).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let options = ConsumerOptions::new(GROUP).with_lease(LEASE);
        let consumer: Box<dyn EventConsumer> = match broker.split_once(':') {
            Some(("redis", _)) => {
                Box::new(RedisConsumer::connect(&RedisConfig::new(broker), "kill", options).await.unwrap())
            }
            Some(("http", _)) => {
                let (endpoint, name) = broker.rsplit_once('/').unwrap();
                Box::new(Queue::at(endpoint, name.to_owned()).consumer(options).await)
            }
            _ => Box::new(SqliteConsumer::open(&SqliteConfig::new(broker), "kill", options).await.unwrap()),
        };
        let mut config = WorkerConfig::default();
        config.lease = LEASE;
        config.concurrency = NonZeroUsize::new(16).unwrap();
        let handler = move |context: Context| {
            let handled = handled.clone();
            async move {
                if context.event().event_type() == "process.kill" {
                    std::process::abort();
                }
                // Long enough that others are in hand when the process dies.
                tokio::time::sleep(Duration::from_millis(20)).await;
                let mut file = OpenOptions::new().append(true).create(true).open(handled)?;
                // In one write, so that lines of handlers that finish together stay whole.
                file.write_all(format!("{}\n", number(context.event())).as_bytes())?;
                Ok::<(), Failure>(())
            }
        };
        Worker::new(consumer, config).unwrap().on("**", handler).run().await.unwrap();
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_kills_its_process_takes_no_other_with_it_on_sqlite() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("events.db");
    let config = SqliteConfig::new(&path);
    let publisher = SqlitePublisher::open(&config, "kill").await.unwrap();
    let admin = SqliteAdmin::open(&config, "kill").await.unwrap();
    show(&publisher, &admin, path.to_str().unwrap(), directory.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_kills_its_process_takes_no_other_with_it_on_redis() {
    let (server, directory) = (RedisServer::start().expect("a Redis server"), TempDir::new().unwrap());
    let config = RedisConfig::new(server.url());
    let publisher = RedisPublisher::connect(&config, "kill").await.unwrap();
    let admin = RedisAdmin::connect(&config, "kill").await.unwrap();
    show(&publisher, &admin, server.url(), directory.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_kills_its_process_takes_no_other_with_it_on_sqs() {
    let (name, directory) = (unique("kill"), TempDir::new().unwrap());
    let queue = Queue::new(name.clone());
    let broker = format!("{}/{name}", emulator());
    show(&queue.publisher().await, &queue.admin().await, &broker, directory.path()).await;
}

async fn show(publisher: &dyn EventPublisher, admin: &dyn EventAdmin, broker: &str, directory: &Path) {
    let kind = |n| if n == 30 { "process.kill" } else { "process.go_on" };
    let events: Vec<_> = (0..EVENTS).map(|n| event(kind(n), n)).collect();
    publisher.publish_batch(&events).await.unwrap().into_ids().unwrap();
    let handled = directory.join("handled");
    let all: BTreeSet<u64> = (0..EVENTS).filter(|n| *n != 30).collect();
    let mut child = Running::start(broker, &handled);
    let (mut deaths, end) = (0, Instant::now() + DEADLINE);
    loop {
        if child.has_died() {
            deaths += 1;
            child = Running::start(broker, &handled);
        }
        let text = fs::read_to_string(&handled).unwrap_or_default();
        let letters = admin.dead_letters(None, BATCH).await.unwrap();
        let done: BTreeSet<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        if done == all && letters.len() == 1 {
            break;
        }
        assert!(
            Instant::now() < end,
            "after {deaths} deaths: {letters:?}, not handled: {:?}",
            all.difference(&done),
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(deaths <= 5, "{deaths} deaths of an event that may be delivered five times");
    let letters = admin.dead_letters(None, BATCH).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(letters[0].message.body().unwrap()).unwrap();
    assert_eq!(body["event_type"], "process.kill");
    assert_eq!(letters[0].attempts, 5);
}

/// The child; it ends with the test.
struct Running(Child);

impl Running {
    fn start(broker: &str, handled: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killing::child", "--ignored", "--quiet"])
            .env(BROKER, broker)
            .env(HANDLED, handled)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    fn has_died(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
