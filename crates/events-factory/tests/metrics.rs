//! What a service from configuration is measured by, shown where it really happens: on a server that is full, gone, or cuts
//! connections.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use events_core::Event;
use events_factory::{EventsConfig, Registry};
use events_runtime::{Context, Failure, Overflow};
use events_telemetry::{Exporter, Health, HealthConfig};
use test_servers::RedisServer;

const DEADLINE: Duration = Duration::from_secs(60);

/// Everything of one stream that is measured; the recorder is the process's only one.
struct Scene {
    stream: &'static str,
    health: Health,
    registry: Registry,
}

impl Scene {
    fn new(stream: &'static str) -> Self {
        exporter();
        let health = Health::new(stream, HealthConfig::default());
        Self { stream, registry: Registry::new().with_telemetry(&health), health }
    }

    fn config(&self, redis: &RedisServer) -> EventsConfig {
        let mut config = EventsConfig::new(redis.url()).with_stream_key(self.stream).with_consumer_group("g");
        config.manager.batch_delay = Duration::ZERO;
        config.manager.retry_max = Duration::from_millis(200);
        config.redis.command_timeout = Duration::from_secs(1);
        config
    }

    /// The sum of a metric over all its labels that hold this text.
    fn sum(&self, name: &str, label: &str) -> f64 {
        let stream = format!("stream=\"{}\"", self.stream);
        let is_meant = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'))
                && line.contains(&stream)
                && line.contains(label)
        };
        let text = exporter().render();
        let values = text.lines().filter(is_meant).map(|line| line.rsplit(' ').next().unwrap());
        values.map(|value| value.parse::<f64>().unwrap()).sum()
    }

    async fn wait_for(&self, name: &str, label: &str, wanted: impl Fn(f64) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !wanted(self.sum(name, label)) {
            assert!(
                Instant::now() < end,
                "{name} {label} is {} in\n{}",
                self.sum(name, label),
                exporter().render()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn expect(&self, wanted: &[(&str, &str, f64)]) {
        for (name, label, wanted) in wanted {
            assert_eq!(self.sum(name, label), *wanted, "{name} {label} in\n{}", exporter().render());
        }
    }

    /// Looks at the stream often, until it is dropped.
    fn watched(&self, config: &EventsConfig) -> tokio::task::JoinSet<()> {
        let (registry, config) = (self.registry.clone(), config.clone());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            registry.watch_event_stream(&config, Duration::from_millis(50)).await.unwrap();
        });
        tasks
    }
}

fn exporter() -> &'static Exporter {
    static EXPORTER: OnceLock<Exporter> = OnceLock::new();
    EXPORTER.get_or_init(|| Exporter::install().unwrap())
}

fn event(n: u64) -> Event {
    Event::new("test.numbered", "s", serde_json::json!({ "n": n })).unwrap()
}

#[tokio::test]
async fn what_a_manager_drops_is_counted_by_reason() {
    let mut redis = RedisServer::builder().with_append_only_file().start().unwrap();
    let scene = Scene::new("dropping");
    let mut config = scene.config(&redis);
    config.manager.queue = NonZeroUsize::new(10).unwrap();
    config.manager.batch = NonZeroUsize::new(1).unwrap();
    let manager = scene.registry.create_event_manager(&config).await.unwrap();
    manager.publish(event(0));
    let large = serde_json::json!({ "x": "x".repeat(2_000_000) });
    manager.publish(Event::new("test.large", "s", large).unwrap());
    manager.flush(DEADLINE).await;
    scene.expect(&[
        ("events_accepted_total", "", 2.0),
        ("events_published_total", "", 1.0),
        ("events_publish_duration_seconds_count", "", 2.0),
        ("events_dropped_total", "reason=\"refused\"", 1.0),
        ("events_dropped_total", "reason=\"queue-full\"", 0.0),
        ("events_publish_failed_total", "kind=\"too-large\"", 1.0),
    ]);

    redis.stop().unwrap();
    // At most the queue and what is on its way are kept.
    (0..50).for_each(|n| manager.publish(event(n)));
    let stats = manager.stats();
    let full = stats.dropped(events_runtime::DropReason::QueueFull);
    assert!((35..=40).contains(&full), "{stats:?}");
    scene.wait_for("events_dropped_total", "reason=\"queue-full\"", |count| count == full as f64).await;
    scene.wait_for("events_queued", "", |count| count == (50 - full) as f64).await;
    scene.wait_for("events_broker_up", "", |up| up == 0.0).await;
    assert!(!scene.health.readiness().is_ready(), "the broker does not take anything");

    redis.restart().unwrap();
    scene.wait_for("events_published_total", "", |count| count == (51 - full) as f64).await;
    scene.wait_for("events_outages_total", "", |count| count == 1.0).await;
    scene.wait_for("events_reconnects_total", "", |count| count >= 1.0).await;
    assert!(scene.health.readiness().is_ready(), "{:?}", scene.health.readiness());
    manager.close(DEADLINE).await;
    manager.publish(event(0));
    drop(manager);
    scene.expect(&[("events_queued", "", 0.0), ("events_dropped_total", "reason=\"closed\"", 1.0)]);
}

#[tokio::test]
async fn what_a_manager_spools_is_counted_and_goes_out() {
    let mut redis = RedisServer::builder().with_append_only_file().start().unwrap();
    let scene = Scene::new("spooling");
    let directory = tempfile::tempdir().unwrap();
    let mut config = scene.config(&redis);
    config.manager.overflow = Overflow::Spool;
    config.manager.spool.path = Some(directory.path().join("spool.db"));
    config.manager.spool.after = Duration::from_millis(100);
    redis.stop().unwrap();
    let manager = scene.registry.create_event_manager(&config).await.unwrap();
    (0..20).for_each(|n| manager.publish(event(n)));
    scene.wait_for("events_spool_depth", "", |depth| depth == 20.0).await;
    scene.expect(&[("events_spooled_total", "", 20.0), ("events_published_total", "", 0.0)]);
    redis.restart().unwrap();
    scene.wait_for("events_spool_depth", "", |depth| depth == 0.0).await;
    manager.close(DEADLINE).await;
    scene.expect(&[
        ("events_spooled_total", "", 20.0),
        ("events_published_total", "", 20.0),
        ("events_dropped_total", "", 0.0),
    ]);
}

#[tokio::test]
async fn what_becomes_of_the_events_a_worker_handles_is_counted() {
    let redis = RedisServer::start().unwrap();
    let scene = Scene::new("working");
    let mut config = scene.config(&redis);
    config.lease = Some(Duration::from_millis(200));
    config.max_deliveries = 2.try_into().unwrap();
    config.worker.retry.initial = Duration::from_millis(1);
    let watching = scene.watched(&config);
    let manager = scene.registry.create_event_manager(&config).await.unwrap();
    // 0 and 1 go well, 2 fails once, 3 fails always, 4 is hopeless, and 5 is none.
    (0..5).for_each(|n| manager.publish(event(n)));
    assert_eq!(manager.close(DEADLINE).await.published, 5);
    redis.command(&["XADD", "working", "*", "event", "no event"]).unwrap();
    // Another one dies twice with the first event in hand: it comes for the last time.
    redis.command(&["XGROUP", "CREATE", "working", "g", "0"]).unwrap();
    scene.wait_for("events_lag", "group=\"g\"", |lag| lag == 6.0).await;
    let ghost = ["XREADGROUP", "GROUP", "g", "ghost", "COUNT", "1", "STREAMS", "working", ">"];
    redis.command(&ghost).unwrap();
    scene.wait_for("events_pending", "group=\"g\"", |pending| pending == 1.0).await;
    scene.wait_for("events_oldest_pending_seconds", "group=\"g\"", |age| age >= 0.2).await;

    let worker = scene.registry.create_event_worker(&config).await.unwrap();
    let handler = async |context: Context| {
        let payload: serde_json::Value = context.event().payload_as()?;
        match (payload["n"].as_u64(), context.attempt()) {
            (Some(2), 1) | (Some(3), _) => Err(Failure::from("not now")),
            (Some(4), _) => Err(Failure::permanent("never")),
            _ => Ok(()),
        }
    };
    let stop = scene.wait_for("events_dead_letters", "", |letters| letters == 3.0);
    let report = worker.on("test.*", handler).run_until(stop).await.unwrap();
    assert_eq!(report.acked, 3, "{report:?}");
    scene.wait_for("events_pending", "group=\"g\"", |pending| pending == 0.0).await;
    scene.wait_for("events_oldest_pending_seconds", "group=\"g\"", |age| age == 0.0).await;
    scene.expect(&[
        ("events_received_total", "group=\"g\"", 7.0),
        ("events_redelivered_total", "group=\"g\"", 3.0),
        ("events_acked_total", "group=\"g\"", 3.0),
        ("events_nacked_total", "group=\"g\"", 3.0),
        ("events_dead_lettered_total", "reason=\"rejected\"", 1.0),
        ("events_dead_lettered_total", "reason=\"max-deliveries\"", 1.0),
        ("events_dead_lettered_total", "reason=\"undecodable\"", 1.0),
        ("events_handle_duration_seconds_count", "group=\"g\"", 7.0),
        ("events_in_flight", "group=\"g\"", 0.0),
        ("events_lag", "group=\"g\"", 0.0),
    ]);
    drop(watching);
}

#[tokio::test]
async fn an_event_whose_consumers_died_is_counted_as_a_dead_letter() {
    let redis = RedisServer::start().unwrap();
    let scene = Scene::new("dying");
    let mut config = scene.config(&redis);
    config.lease = Some(Duration::from_millis(100));
    config.max_deliveries = 1.try_into().unwrap();
    let manager = scene.registry.create_event_manager(&config).await.unwrap();
    manager.publish(event(0));
    manager.close(DEADLINE).await;
    redis.command(&["XGROUP", "CREATE", "dying", "g", "0"]).unwrap();
    redis.command(&["XREADGROUP", "GROUP", "g", "ghost", "STREAMS", "dying", ">"]).unwrap();
    let worker = scene.registry.create_event_worker(&config).await.unwrap();
    let stop =
        scene.wait_for("events_dead_lettered_total", "reason=\"max-deliveries\"", |count| count == 1.0);
    worker.on("test.*", async |_: Context| Ok::<_, Failure>(())).run_until(stop).await.unwrap();
    scene.expect(&[("events_received_total", "", 0.0), ("events_dead_lettered_total", "", 1.0)]);
}

#[tokio::test]
async fn a_connection_that_is_cut_is_counted_when_it_is_made_anew() {
    let redis = RedisServer::start().unwrap();
    let scene = Scene::new("cut");
    let config = scene.config(&redis);
    let worker = scene.registry.create_event_worker(&config).await.unwrap();
    scene.expect(&[("events_reconnects_total", "", 0.0)]);
    let cut = async {
        redis.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).unwrap();
        // The one that reads and the one that settles.
        scene.wait_for("events_reconnects_total", "", |count| count >= 2.0).await;
    };
    worker.on("test.*", async |_: Context| Ok::<_, Failure>(())).run_until(cut).await.unwrap();
}

/// Gauges cannot be taken back, so what is gone reads as nothing to do; what comes back is told again.
#[tokio::test]
async fn a_group_that_is_gone_has_nothing_left_to_do() {
    let redis = RedisServer::start().unwrap();
    let scene = Scene::new("going");
    let config = scene.config(&redis);
    let manager = scene.registry.create_event_manager(&config).await.unwrap();
    (0..5).for_each(|n| manager.publish(event(n)));
    manager.close(DEADLINE).await;
    let _watching = scene.watched(&config);
    for group in ["g", "h"] {
        redis.command(&["XGROUP", "CREATE", "going", group, "0"]).unwrap();
        let read = ["XREADGROUP", "GROUP", group, "ghost", "COUNT", "2", "STREAMS", "going", ">"];
        redis.command(&read).unwrap();
        let label = format!("group=\"{group}\"");
        scene.wait_for("events_lag", &label, |lag| lag == 3.0).await;
        scene.wait_for("events_pending", &label, |pending| pending == 2.0).await;
        scene.wait_for("events_oldest_pending_seconds", &label, |age| age > 0.0).await;
    }

    redis.command(&["XGROUP", "DESTROY", "going", "h"]).unwrap();
    for gauge in ["events_lag", "events_pending", "events_oldest_pending_seconds"] {
        scene.wait_for(gauge, "group=\"h\"", |value| value == 0.0).await;
    }
    scene.expect(&[("events_lag", "", 3.0), ("events_pending", "", 2.0)]);
    redis.command(&["XGROUP", "CREATE", "going", "h", "0"]).unwrap();
    scene.wait_for("events_lag", "group=\"h\"", |lag| lag == 5.0).await;
}
