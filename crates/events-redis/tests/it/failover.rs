//! Case 38: another server takes over, behind sentinels and in a cluster, while events flow.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use events_core::{DeadLetterReason, EventAdmin, EventConsumer, EventPublisher};
use events_redis::{RedisAdmin, RedisConfig, RedisConsumer, RedisPublisher};
use events_testkit::{Balance, Ledger};
use test_servers::{RedisCluster, RedisSentinel, Reply, RespConnection};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::support::*;

/// How long a test waits for another server to take over and everybody to be over it; a few seconds are usual.
const TAKEOVER: Duration = Duration::from_secs(60);

/// Events that flow while another server takes over, each accounted for.
struct Load {
    ledger: Arc<Ledger>,
    calm: Arc<AtomicBool>,
    publishing: JoinSet<()>,
    consuming: JoinSet<()>,
}

/// What a replica is known to have.
struct Replicated {
    accepted: BTreeSet<usize>,
    settled: BTreeSet<usize>,
}

impl Load {
    async fn start(config: &RedisConfig) -> Self {
        let (ledger, calm) = (Arc::new(Ledger::new(RESENDS)), Arc::new(AtomicBool::new(false)));
        let next = Arc::new(AtomicUsize::new(0));
        let (mut publishing, mut consuming) = (JoinSet::new(), JoinSet::new());
        for _ in 0..2 {
            let publisher = RedisPublisher::connect(config, STREAM).await.expect("a publisher");
            let (account, calm, next) = (Arc::clone(&ledger), Arc::clone(&calm), Arc::clone(&next));
            publishing.spawn(async move {
                while !calm.load(Ordering::Relaxed) {
                    let first = next.fetch_add(10, Ordering::Relaxed);
                    account.publish_stubbornly(&publisher, first..first + 10, BATCH).await;
                    sleep(Duration::from_millis(10)).await;
                }
                publisher.close().await.expect("a publisher closes");
            });
            let mut consumer = RedisConsumer::connect(config, STREAM, options()).await.expect("a consumer");
            let account = Arc::clone(&ledger);
            consuming.spawn(async move {
                loop {
                    // A transient error passes; the next call says so.
                    if let Ok(got) = account.receive(&mut consumer, BATCH, Duration::from_millis(500)).await {
                        account.ack(got).await;
                    }
                }
            });
        }
        let load = Self { ledger, calm, publishing, consuming };
        load.flow(300).await;
        load
    }

    /// Waits until so many more events were accepted and delivered.
    async fn flow(&self, more: usize) {
        let (accepted, delivered) = (self.ledger.accepted_count() + more, self.ledger.delivered() + more);
        let end = Instant::now() + TAKEOVER;
        while self.ledger.accepted_count() < accepted || self.ledger.delivered() < delivered {
            assert!(Instant::now() < end, "not {more} events in {TAKEOVER:?}: {}", self.ledger.balance());
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// What was accepted and settled up to now, once the replica has it.
    async fn replicated(&self, primary: u16, replica: u16) -> Replicated {
        let accepted = self.ledger.accepted();
        let settled = accepted.difference(&self.ledger.unacknowledged()).copied().collect();
        let written = offset(primary, "master_repl_offset");
        eventually("the replica has it", || offset(replica, "slave_repl_offset") >= written).await;
        Replicated { accepted, settled }
    }

    /// The fault that makes the replica take over; whatever the replica may not have is in flight.
    fn fault_begins(&self, replicated: &Replicated) -> Instant {
        self.ledger.fault_begins();
        self.ledger.may_repeat(self.ledger.accepted().difference(&replicated.settled).copied());
        Instant::now()
    }

    /// Ends the flow and checks the account: what was replicated, or what the new primary has, is delivered.
    async fn finish(mut self, primary: u16, replicated: &Replicated) -> Balance {
        self.calm.store(true, Ordering::Relaxed);
        let published =
            async { while self.publishing.join_next().await.is_some_and(|ended| ended.is_ok()) {} };
        timeout(TAKEOVER, published).await.expect("the publishers end");
        assert!(self.publishing.is_empty(), "a publisher broke");
        let held = numbers_at(primary);
        let forgotten: BTreeSet<usize> = self.ledger.accepted().difference(&held).copied().collect();
        let lost: Vec<_> = replicated.accepted.intersection(&forgotten).collect();
        assert!(lost.is_empty(), "replicated and gone: {lost:?}");
        self.ledger.forget(forgotten);
        let end = Instant::now() + TAKEOVER;
        while !self.ledger.unacknowledged().is_empty() {
            assert!(Instant::now() < end, "{}", self.ledger.balance());
            if let Some(ended) = self.consuming.try_join_next() {
                ended.expect("the consumers go on");
            }
            sleep(Duration::from_millis(20)).await;
        }
        self.ledger.fault_ends();
        // What was in flight and comes again does so when its lease ends.
        sleep(LEASE * 2).await;
        self.consuming.shutdown().await;
        let balance = self.ledger.balance();
        balance.assert_sound();
        balance
    }
}

fn ask(port: u16, words: &[&str]) -> Reply {
    RespConnection::connect(port, None).and_then(|mut link| link.command(words)).expect("the server answers")
}

fn offset(port: u16, name: &str) -> u64 {
    let info = ask(port, &["INFO", "replication"]);
    let mut lines = info.text().expect("INFO is a text").lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
}

/// The numbers of all events a server has.
fn numbers_at(port: u16) -> BTreeSet<usize> {
    let entries = ask(port, &["XRANGE", STREAM, "-", "+"]);
    let fields = entries.array().into_iter().flatten().filter_map(|entry| entry.array()?.get(1)?.array());
    fields.filter_map(|fields| number_in(fields.get(1)?.text()?)).collect()
}

/// What makes sentinels let the replica take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Killed,
    Frozen,
    Asked,
}

async fn sentinels_fail_over(cause: Cause) -> String {
    let mut sentinel = RedisSentinel::start().expect("sentinels");
    let (first, second) = (sentinel.first_primary().port(), sentinel.first_replica().port());
    let config = RedisConfig::new(sentinel.url())
        .with_command_timeout(Duration::from_secs(2))
        .with_read_patience(Duration::from_millis(500), Duration::from_millis(500));
    let load = Load::start(&config).await;
    let replicated = load.replicated(first, second).await;
    let began = load.fault_begins(&replicated);
    match cause {
        Cause::Killed => sentinel.first_primary().kill().expect("it is killed"),
        Cause::Frozen => sentinel.first_primary().freeze().expect("it is frozen"),
        Cause::Asked => sentinel.fail_over().expect("the sentinels agree"),
    }
    eventually("the replica takes over", || sentinel.primary_port().is_ok_and(|port| port == second)).await;
    let elected = began.elapsed();
    load.flow(1).await;
    let recovered = began.elapsed();
    if cause == Cause::Frozen {
        // It comes back as the primary it was, and is told what it is now.
        sentinel.first_primary().thaw().expect("it goes on");
    }
    if cause != Cause::Killed {
        let follows = || ask(first, &["ROLE"]).array().is_some_and(|role| role[0].text() == Some("slave"));
        eventually("the former primary follows", follows).await;
    }
    load.flow(300).await;
    let balance = load.finish(second, &replicated).await;
    format!("{cause:?}: elected after {elected:?}, events flow after {recovered:?}; {balance}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c38_a_killed_primary_is_followed_to_where_the_sentinels_say() {
    println!("{}", sentinels_fail_over(Cause::Killed).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c38_a_frozen_primary_that_comes_back_demoted_is_left() {
    println!("{}", sentinels_fail_over(Cause::Frozen).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c38_a_primary_that_is_demoted_in_peace_is_left() {
    println!("{}", sentinels_fail_over(Cause::Asked).await);
}

fn cluster_config(cluster: &RedisCluster) -> RedisConfig {
    RedisConfig::new(cluster.url())
        .with_command_timeout(Duration::from_secs(2))
        .with_read_patience(Duration::from_millis(500), Duration::from_millis(500))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c38_a_replica_in_a_cluster_takes_over_for_its_killed_master() {
    let mut cluster = RedisCluster::start().unwrap();
    let replica = cluster.add_replica_of(STREAM).unwrap().port();
    let master = cluster.node_of(STREAM).unwrap().port();
    let config = cluster_config(&cluster);
    let load = Load::start(&config).await;
    let replicated = load.replicated(master, replica).await;
    let began = load.fault_begins(&replicated);
    cluster.node_of_mut(STREAM).unwrap().kill().unwrap();
    let leads = || ask(replica, &["ROLE"]).array().is_some_and(|role| role[0].text() == Some("master"));
    eventually("the replica takes over", leads).await;
    let elected = began.elapsed();
    load.flow(1).await;
    let recovered = began.elapsed();
    load.flow(300).await;
    let balance = load.finish(replica, &replicated).await;
    println!("cluster: elected after {elected:?}, events flow after {recovered:?}; {balance}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_a_stream_and_its_dead_letters_together() {
    let cluster = RedisCluster::start().unwrap();
    let config = cluster_config(&cluster);
    // Keys of all three masters, with and without a hash tag.
    for stream in ["orders", "invoices", "stock", "a{b}c", "odd}"] {
        let publisher = RedisPublisher::connect(&config, stream).await.unwrap();
        let mut consumer = RedisConsumer::connect(&config, stream, options()).await.unwrap();
        let admin = RedisAdmin::connect(&config, stream).await.unwrap();
        publish(&publisher, 0..600).await;
        let mut deliveries = receive(&mut consumer, 600).await;
        assert!(deliveries.iter().map(number).eq(0..600), "{stream}");
        deliveries.pop().unwrap().reject("broken").await.unwrap();
        deliveries.pop().unwrap().nack().await.unwrap();
        deliveries.pop().unwrap().release().await.unwrap();
        events_core::ack_all(deliveries).await.into_result().unwrap();
        let again = receive(&mut consumer, 2).await;
        assert_eq!(again.iter().map(|again| again.attempt()).sum::<u32>(), 3, "{stream}");
        events_core::ack_all(again).await.into_result().unwrap();
        let letter = admin.dead_letters(None, BATCH).await.unwrap().pop().unwrap();
        assert_eq!((letter.reason, letter.attempts), (DeadLetterReason::Rejected, 1), "{stream}");
        assert_eq!(admin.redrive(&[letter.id]).await.unwrap(), 1, "{stream}");
        receive_one(&mut consumer).await.ack().await.unwrap();
        let groups = admin.groups().await.unwrap();
        assert_eq!((groups[0].pending, groups[0].lag), (0, Some(0)), "{stream}");
        consumer.close().await.unwrap();
        publisher.close().await.unwrap();
        admin.close().await.unwrap();
    }
}
