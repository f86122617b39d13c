//! What is exported is what the table says, and counts what happened.

#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use events_core::{
    Capabilities, ConsumerOptions, Delivery, Error, ErrorKind, Event, EventConsumer, EventPublisher, Receipt,
    Result, Settlement, Settler, StartFrom, async_trait,
};
use events_memory::MemoryBroker;
use events_telemetry::{
    Exporter, Health, HealthConfig, METRICS, ManagerMeter, ManagerState, MetricKind, Poller,
    measure_consumer, measure_publisher, observe_consumer, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const README: &str = include_str!("../README.md");
const TOKEN: &str = "an-id-that-no-label-may-hold";

async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    ask("GET", address, path).await
}

async fn ask(method: &str, address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The value of a metric with these labels, as the exporter prints it.
fn value(text: &str, name: &str, labels: &[&str]) -> f64 {
    let is_meant = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    };
    let line = text.lines().find(is_meant).unwrap_or_else(|| panic!("no {name} {labels:?} in\n{text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Everything that can happen to events, once.
async fn happen(broker: &MemoryBroker, health: &Health) -> (Vec<Delivery>, Box<dyn EventConsumer>) {
    let publisher = measure_publisher(Arc::new(broker.publisher("s")), "s", health);
    let event = |n: usize| Event::builder("a.b", "src").with_id(format!("{TOKEN}{n}")).build().unwrap();
    let events: Vec<Event> = (0..6).map(event).collect();
    assert!(publisher.publish_batch(&events).await.unwrap().is_complete());
    let large = Event::builder("a.b", "src").with_payload(serde_json::json!({"x": "x".repeat(2_000_000)}));
    assert!(!publisher.publish_batch(&[large.build().unwrap()]).await.unwrap().is_complete());

    let options = ConsumerOptions::new("g")
        .with_start_from(StartFrom::Earliest)
        .with_max_deliveries(2.try_into().unwrap())
        .with_observer(observe_consumer("s", "g"));
    let consumer = broker.consumer("s", options.clone()).unwrap();
    let mut consumer = measure_consumer(Box::new(consumer), "s", &options, health);
    let mut deliveries = consumer.receive(NonZeroUsize::new(6).unwrap(), Duration::ZERO).await.unwrap();
    assert_eq!(deliveries.len(), 6);
    let mut next = || deliveries.remove(0);
    let acked = events_core::ack_all(vec![next(), next()]).await;
    assert_eq!(acked.into_result().unwrap(), 2);
    next().nack().await.unwrap();
    next().reject("no").await.unwrap();
    next().release().await.unwrap();
    // The failed one and the released one come again; the failed one for the last time.
    let again = consumer.receive(NonZeroUsize::new(6).unwrap(), Duration::ZERO).await.unwrap();
    assert_eq!(again.len(), 2);
    for delivery in again {
        match delivery.attempt() {
            1 => delivery.ack().await.unwrap(),
            _ => delivery.nack().await.unwrap(),
        }
    }
    // One that nobody was given yet.
    assert!(publisher.publish_batch(&[event(6)]).await.unwrap().is_complete());
    publisher.close().await.unwrap();
    publisher.publish_batch(&[event(7), event(8)]).await.expect_err("it is closed");
    (deliveries, consumer)
}

/// A consumer whose broker goes away before anything can be settled.
#[derive(Debug)]
struct Cut<C>(C);

#[derive(Debug)]
struct Away;

#[async_trait]
impl<C: EventConsumer> EventConsumer for Cut<C> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn receive(&mut self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        let received = self.0.receive(max, wait).await?;
        Ok(received.into_iter().map(|delivery| delivery.map_settler(|_| Arc::new(Away))).collect())
    }

    async fn close(&mut self) -> Result<()> {
        self.0.close().await
    }
}

#[async_trait]
impl Settler for Away {
    async fn settle(&self, receipts: &[Receipt], _: &Settlement) -> Vec<Result<()>> {
        receipts.iter().map(|_| Err(Error::new(ErrorKind::Unavailable, "settle", "away"))).collect()
    }

    async fn extend(&self, receipts: &[Receipt], _: Duration) -> Vec<Result<()>> {
        self.settle(receipts, &Settlement::Ack).await
    }

    fn abandon(&self, _: &Receipt) {}
}

/// Two deliveries that cannot be settled.
async fn be_cut_off(health: &Health) {
    let broker = MemoryBroker::default();
    let event = || Event::builder("a.b", "src").build().unwrap();
    assert!(broker.publisher("cut").publish_batch(&[event(), event()]).await.unwrap().is_complete());
    let options = ConsumerOptions::new("g");
    let consumer = Cut(broker.consumer("cut", options.clone()).unwrap());
    let mut consumer = measure_consumer(Box::new(consumer), "cut", &options, health);
    let deliveries = consumer.receive(NonZeroUsize::new(2).unwrap(), Duration::ZERO).await.unwrap();
    events_core::ack_all(deliveries).await.into_result().expect_err("it is away");
}

#[tokio::test]
async fn what_is_exported_is_what_the_table_says_and_what_happened() {
    let exporter = Exporter::install().unwrap();
    assert!(Exporter::install().is_err(), "there is one recorder");
    let health = Health::new("s", HealthConfig::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, health.clone(), exporter));
    assert_eq!(get(address, "/livez").await.0, 200);
    let unasked = r#"{"ready":false,"reasons":["the broker has not answered yet"]}"#;
    assert_eq!(get(address, "/readyz").await, (503, unasked.to_owned()));
    assert_eq!(ask("POST", address, "/readyz").await.0, 405);

    let broker = MemoryBroker::default();
    let (in_hand, _consumer) = happen(&broker, &health).await;
    be_cut_off(&health).await;
    // Two managers of one stream add up, and what one of them says twice counts once.
    let mut meters = [ManagerMeter::new("s"), ManagerMeter::new("s")];
    let state = ManagerState { accepted: 10, queued: 1, spooled: 4, spool_depth: 2 };
    for meter in &mut meters {
        meter.saw(ManagerState { accepted: 1, queued: 1, ..ManagerState::default() }, [("queue-full", 1)]);
        meter.saw(state, [("queue-full", 3)]);
        meter.saw(state, [("queue-full", 3)]);
    }
    let [one, _kept] = meters;
    drop(one);
    let poller = Poller::new(Arc::new(broker.admin("s")), "s", "g", health.clone());
    tokio::spawn(poller.run(Duration::from_millis(20)));
    while !get(address, "/metrics").await.1.contains("events_dead_letters{") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(get(address, "/readyz").await, (200, r#"{"ready":true,"reasons":[]}"#.to_owned()));
    assert_eq!(get(address, "/nonsense").await.0, 404);

    let (_, text) = get(address, "/metrics").await;
    let group = ["stream=\"s\"", "group=\"g\""];
    for (name, labels, wanted) in [
        ("events_published_total", &group[..1], 7.0),
        ("events_publish_failed_total", &["kind=\"too-large\""], 1.0),
        ("events_publish_failed_total", &["kind=\"closed\""], 2.0),
        ("events_publish_duration_seconds_count", &group[..1], 4.0),
        ("events_accepted_total", &group[..1], 20.0),
        ("events_dropped_total", &["reason=\"queue-full\""], 6.0),
        ("events_spooled_total", &group[..1], 8.0),
        ("events_spool_depth", &group[..1], 2.0),
        ("events_queued", &group[..1], 1.0),
        ("events_received_total", &group, 8.0),
        ("events_redelivered_total", &group, 1.0),
        ("events_acked_total", &group, 3.0),
        ("events_nacked_total", &group, 2.0),
        ("events_released_total", &group, 1.0),
        ("events_dead_lettered_total", &["reason=\"rejected\""], 1.0),
        ("events_dead_lettered_total", &["reason=\"max-deliveries\""], 1.0),
        ("events_settle_failed_total", &group, 0.0),
        ("events_settle_failed_total", &["stream=\"cut\""], 2.0),
        ("events_acked_total", &["stream=\"cut\""], 0.0),
        ("events_handle_duration_seconds_count", &group, 7.0),
        ("events_in_flight", &group, 1.0),
        ("events_broker_up", &group[..1], 1.0),
        ("events_reconnects_total", &group[..1], 0.0),
        ("events_outages_total", &group[..1], 0.0),
        ("events_lag", &group, 1.0),
        ("events_pending", &group, 1.0),
        ("events_dead_letters", &group[..1], 2.0),
    ] {
        assert_eq!(value(&text, name, labels), wanted, "{name} {labels:?} in\n{text}");
    }
    assert!(value(&text, "events_oldest_pending_seconds", &group) > 0.0, "{text}");
    drop(in_hand);
    assert_eq!(value(&get(address, "/metrics").await.1, "events_in_flight", &group), 0.0);
    assert!(!text.contains(TOKEN), "an id in\n{text}");
    is_as_the_table_says(&text);
}

/// Every metric of the table is exported with its labels, kind and help, and nothing else is.
fn is_as_the_table_says(text: &str) {
    let mut exported = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        exported.insert(line.to_owned());
    }
    let kind = |kind| match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    };
    let wanted: BTreeSet<String> =
        METRICS.iter().map(|metric| format!("{} {}", metric.name, kind(metric.kind))).collect();
    assert_eq!(exported, wanted);
    for metric in METRICS {
        let sample = text
            .lines()
            .find(|line| line.starts_with(&format!("{}{}", metric.name, "{")))
            .or_else(|| text.lines().find(|line| line.starts_with(&format!("{}_count", metric.name))))
            .unwrap();
        let labels: BTreeSet<&str> =
            sample.split(['{', ',']).skip(1).filter_map(|part| part.split('=').next()).collect();
        assert_eq!(labels, metric.labels.iter().copied().collect(), "{sample}");
        assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.help)), "{metric:?}");
    }
}

#[test]
fn the_readme_has_every_metric_and_no_other() {
    let rows: Vec<&str> = README.lines().filter(|line| line.starts_with("| `events_")).collect();
    let wanted: Vec<String> = METRICS
        .iter()
        .map(|metric| {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let unit = metric.unit();
            format!("| `{}` | {kind} | {} | {unit} | {} |", metric.name, labels.join(", "), metric.help)
        })
        .collect();
    assert_eq!(rows, wanted, "the table should read\n{}", wanted.join("\n"));
}
