//! Case 65 on a real server, for as long as one likes: everything at once, at random, and every event accounted for.
//!
//! `EVENTS_SOAK_SECONDS` says how long; the README of the crate has the command.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use events_core::{ConsumerOptions, DeadLetterReason, Delivery, EventAdmin, EventConsumer, EventPublisher};
use events_redis::{RedisAdmin, RedisConfig, RedisConsumer, RedisPublisher};
use events_testkit::Ledger;
use test_servers::{RedisServer, Reply, RespConnection};
use tokio::sync::{Mutex, RwLock};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::proxy::Proxy;
use crate::support::{BATCH, GROUP, RESENDS, STREAM, number_in};

const DEFAULT: Duration = Duration::from_secs(60);

const PUBLISHERS: u64 = 3;

const CONSUMERS: usize = 4;

/// Long enough not to end while the machine is busy elsewhere; what is dropped comes back after it.
const SOAK_LEASE: Duration = Duration::from_secs(5);

/// How long the rest may take when the faults are over.
const SETTLING: Duration = Duration::from_secs(120);

/// Which entries were delivered when the group was destroyed: those that were pending, which the group knew alone, and
/// the last thousand, of which a consumer that makes the group again may not have heard.
const DESTROY: &str = "\
local function text(id)
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  return entry and entry[2][2] or ''
end
local groups, pending, recent = redis.call('XINFO', 'GROUPS', KEYS[1]), {}, {}
if #groups == 0 then return {pending, recent} end
for _, entry in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 100000)) do
  pending[#pending + 1] = text(entry[1])
end
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], groups[1][8], '-', 'COUNT', 1000)) do
  recent[#recent + 1] = entry[2][2]
end
redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
return {pending, recent}";

/// What all tasks of a soak share.
struct Soak {
    ledger: Ledger,
    server: Mutex<RedisServer>,
    /// Some clients go straight to the server, others through the proxy.
    configs: [RedisConfig; 2],
    proxy: Proxy,
    next: AtomicUsize,
    rejected: std::sync::Mutex<BTreeSet<usize>>,
    poison: AtomicUsize,
    /// Written while a destroyed group is missing: a consumer that starts then would make it from the beginning, as it
    /// must, and everything would come again.
    births: RwLock<()>,
    /// No more is published, and consumers make no more trouble.
    calm: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c65_a_soak_loses_nothing() {
    let seconds = std::env::var("EVENTS_SOAK_SECONDS").ok();
    let length = seconds.map_or(DEFAULT, |text| {
        Duration::from_secs(text.parse().expect("EVENTS_SOAK_SECONDS is a number of seconds"))
    });
    let soak = Arc::new(Soak::start().await);
    let mut chance = Chance::new();
    let seed = chance.seed();
    let mut publishing = JoinSet::new();
    for _ in 0..PUBLISHERS {
        publishing.spawn(Arc::clone(&soak).publish(chance.split()));
    }
    let consuming = tokio::spawn(Arc::clone(&soak).keep_consuming(chance.split()));
    let end = Instant::now() + length;
    let mut faults: BTreeMap<&str, usize> = BTreeMap::new();
    let mut said = Instant::now();
    while Instant::now() < end {
        sleep(Duration::from_millis(300 + chance.below(1_500))).await;
        let fault = soak.cause_one(&mut chance).await;
        *faults.entry(fault).or_default() += 1;
        assert!(!consuming.is_finished(), "the consumers gave up, seed {seed}");
        if said.elapsed() > Duration::from_secs(60) {
            said = Instant::now();
            // What is not delivered yet is not lost yet.
            println!("so far: {}", soak.ledger.balance());
        }
    }
    soak.calm.store(true, Ordering::Relaxed);
    while let Some(ended) = publishing.join_next().await {
        ended.unwrap_or_else(|error| panic!("a publisher broke: {error}, seed {seed}"));
    }
    let end = Instant::now() + SETTLING;
    let letters = loop {
        let letters = soak.dead_letters().await;
        let dead: BTreeSet<usize> = letters.iter().filter_map(|letter| letter.1).collect();
        let open: Vec<usize> = soak.ledger.unacknowledged().difference(&dead).copied().collect();
        if open.is_empty() && left(&*soak.server.lock().await) == Some((0, 0)) {
            break letters;
        }
        let balance = soak.ledger.balance();
        assert!(!consuming.is_finished(), "the consumers gave up, seed {seed}");
        assert!(Instant::now() < end, "{balance}; open after {SETTLING:?}: {open:?}, seed {seed}");
        sleep(Duration::from_millis(200)).await;
    };
    consuming.abort();

    let of = |reason| letters.iter().filter(|letter| letter.0 == reason).count();
    let balance = soak.ledger.balance();
    println!("soak of {length:?}, seed {seed}: {balance}");
    println!("faults: {faults:?}");
    println!(
        "dead letters: {} rejected, {} past their deliveries, {} undecodable of {} published",
        of(DeadLetterReason::Rejected),
        of(DeadLetterReason::MaxDeliveries),
        of(DeadLetterReason::Undecodable),
        soak.poison.load(Ordering::Relaxed)
    );
    balance.assert_sound();
    assert!(balance.accepted > 0 && !faults.is_empty());
    // What was rejected is there for whoever looks into it, and so is what nobody could decode.
    let dead: BTreeSet<usize> = letters.iter().filter_map(|letter| letter.1).collect();
    let rejected = soak.rejected.lock().unwrap().clone();
    let missing: Vec<_> = rejected.difference(&dead).filter(|n| !soak.ledger.is_forgotten(**n)).collect();
    assert!(missing.is_empty(), "rejected and no dead letters: {missing:?}");
    if !faults.contains_key("the group is destroyed") {
        assert!(of(DeadLetterReason::Undecodable) >= soak.poison.load(Ordering::Relaxed));
    }
}

impl Soak {
    async fn start() -> Self {
        // Written before it is answered, though not forced to the disk: processes are killed, not the machine.
        let durable = ["--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0"];
        let server = RedisServer::builder().with_arguments(durable).start().expect("a server");
        let proxy = Proxy::start(server.port()).await;
        let impatient = |url: String| {
            RedisConfig::new(url)
                .with_connect_timeout(Duration::from_millis(500))
                .with_command_timeout(Duration::from_secs(2))
                .with_read_patience(Duration::from_millis(500), Duration::from_secs(1))
        };
        Self {
            ledger: Ledger::new(RESENDS),
            configs: [impatient(server.url().to_owned()), impatient(format!("redis://{}", proxy.address))],
            server: Mutex::new(server),
            proxy,
            next: AtomicUsize::new(0),
            rejected: std::sync::Mutex::default(),
            poison: AtomicUsize::new(0),
            births: RwLock::new(()),
            calm: AtomicBool::new(false),
        }
    }

    fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// Publishes until it is calm, by one publisher after the other.
    async fn publish(self: Arc<Self>, mut chance: Chance) {
        while !self.is_calm() {
            let config = &self.configs[chance.index(2)];
            let publisher = RedisPublisher::connect(config, STREAM).await.expect("a publisher");
            for _ in 0..chance.below(200) {
                if self.is_calm() {
                    break;
                }
                let count = 1 + chance.index(20);
                let first = self.next.fetch_add(count, Ordering::Relaxed);
                self.ledger.publish_stubbornly(&publisher, first..first + count, BATCH).await;
                sleep(Duration::from_millis(chance.below(200))).await;
            }
            publisher.close().await.expect("a publisher closes");
        }
    }

    /// Keeps as many consumers as there should be; those that die are replaced.
    async fn keep_consuming(self: Arc<Self>, mut chance: Chance) {
        let mut running = JoinSet::new();
        loop {
            while running.len() < CONSUMERS {
                running.spawn(Arc::clone(&self).consume(chance.split()));
            }
            let ended = running.join_next().await.expect("consumers are running");
            ended.unwrap_or_else(|error| panic!("a consumer broke: {error}"));
        }
    }

    /// Consumes until it dies by chance.
    async fn consume(self: Arc<Self>, mut chance: Chance) {
        let options = ConsumerOptions::new(GROUP).with_lease(SOAK_LEASE);
        let config = &self.configs[chance.index(2)];
        let born = self.births.read().await;
        let mut consumer = RedisConsumer::connect(config, STREAM, options).await.expect("a consumer");
        drop(born);
        loop {
            let max = [1, 10, 64, 100][chance.index(4)];
            let max = NonZeroUsize::new(max).expect("not zero");
            let wait = Duration::from_millis(chance.below(1_000));
            let receiving = self.ledger.receive(&mut consumer, max, wait);
            // A transient error passes; the next call says so.
            let Ok(deliveries) = receiving.await else { continue };
            let dies = chance.below(100) == 0 && !self.is_calm();
            let mut good = Vec::new();
            for delivery in deliveries {
                if dies {
                    self.ledger.give_back(number(&delivery));
                } else if self.is_calm() {
                    good.push(delivery);
                } else if let Some(delivery) = self.disturb(delivery, &mut chance).await {
                    good.push(delivery);
                }
            }
            self.ledger.ack(good).await;
            match chance.below(100) {
                _ if dies => return,
                0 if !self.is_calm() => {
                    // Closing fails when the server is away; what was fetched comes back with its lease.
                    drop(consumer.close().await);
                    return;
                }
                _ => {}
            }
        }
    }

    /// Ends a delivery in one of many ways but the good one, for which it is returned.
    async fn disturb(&self, delivery: Delivery, chance: &mut Chance) -> Option<Delivery> {
        let number = number(&delivery);
        let delay = Duration::from_millis(chance.below(500));
        match chance.below(100) {
            0..5 => drop(delivery.nack().await),
            5..8 => drop(delivery.nack_after(delay).await),
            8..10 => drop(delivery.release().await),
            10..12 => drop(delivery),
            12 => {
                if delivery.reject("by chance").await.is_ok() {
                    self.rejected.lock().expect("no test has panicked").insert(number);
                }
            }
            13 => {
                // Whether it is still held shows when it is acknowledged or comes again.
                drop(delivery.extend(SOAK_LEASE).await);
                sleep(delay).await;
                return Some(delivery);
            }
            _ => return Some(delivery),
        }
        self.ledger.give_back(number);
        None
    }

    /// Causes one fault, waits until everybody is over it, and says which it was.
    async fn cause_one(&self, chance: &mut Chance) -> &'static str {
        let pause = Duration::from_millis(chance.below(2_500));
        self.ledger.fault_begins();
        let name = match chance.below(8) {
            0 | 1 => {
                self.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
                "connections are cut"
            }
            2 => {
                let mut server = self.server.lock().await;
                server.kill().expect("the server is killed");
                sleep(pause).await;
                server.restart().expect("the server starts again");
                "the server is killed and restarted"
            }
            3 | 4 => {
                let mut server = self.server.lock().await;
                server.freeze().expect("the server is frozen");
                sleep(pause).await;
                server.thaw().expect("the server continues");
                "the server is frozen"
            }
            5 => {
                self.proxy.silence();
                "connections fall silent"
            }
            6 => {
                self.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
                sleep(pause).await;
                self.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
                "the server is full"
            }
            _ => {
                self.destroy_group().await;
                "the group is destroyed"
            }
        };
        // Poison, now and then, so that it is met in the middle of recovering.
        if chance.below(2) == 0 {
            self.command(&["XADD", STREAM, "*", "event", "{nonsense"]).await;
            self.poison.fetch_add(1, Ordering::Relaxed);
        }
        let (accepted, delivered) = (self.ledger.accepted_count(), self.ledger.delivered());
        let end = Instant::now() + SETTLING;
        while self.ledger.accepted_count() == accepted || self.ledger.delivered() == delivered {
            assert!(Instant::now() < end, "no event in {SETTLING:?} after this: {name}");
            sleep(Duration::from_millis(10)).await;
        }
        // Others may still be waiting for a silent connection to be noticed.
        let silent = ["connections fall silent", "the server is frozen"].contains(&name);
        sleep(if silent { Duration::from_millis(2_500) } else { Duration::from_millis(500) }).await;
        self.ledger.fault_ends();
        name
    }

    async fn destroy_group(&self) {
        let _no_births = self.births.write().await;
        let reply = self.command(&["EVAL", DESTROY, "1", STREAM, GROUP]).await;
        let numbers = |part: &Reply| -> Vec<usize> {
            part.array().into_iter().flatten().filter_map(|text| number_in(text.text()?)).collect()
        };
        let [pending, recent] = reply.array().expect("two lists") else { panic!("two lists") };
        self.ledger.forget(numbers(pending));
        self.ledger.may_repeat(numbers(recent));
        let end = Instant::now() + SETTLING;
        while self.command(&["XINFO", "GROUPS", STREAM]).await.array().is_none_or(<[_]>::is_empty) {
            assert!(Instant::now() < end, "nobody makes the group again");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// All dead letters: why, and the number of the event if it has one.
    async fn dead_letters(&self) -> Vec<(DeadLetterReason, Option<usize>)> {
        let admin = RedisAdmin::connect(&self.configs[0], STREAM).await.expect("an admin");
        let (mut after, mut all) = (None, Vec::new());
        loop {
            let page = admin.dead_letters(after.as_ref(), BATCH).await.expect("listing works");
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            all.extend(page.iter().map(|letter| {
                let body = letter.message.fields.iter().find(|(name, _)| name == b"event");
                let number = body.and_then(|(_, body)| number_in(std::str::from_utf8(body).ok()?));
                (letter.reason, number)
            }));
        }
        admin.close().await.expect("an admin closes");
        all
    }

    /// Sends one command beside the backend, again if it met a connection the faults had cut.
    async fn command(&self, words: &[&str]) -> Reply {
        let port = self.server.lock().await.port();
        for _ in 0..5 {
            let answer = RespConnection::connect(port, None).and_then(|mut link| link.command(words));
            if let Ok(reply) = answer {
                return reply;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{words:?} is not answered")
    }
}

fn number(delivery: &Delivery) -> usize {
    usize::try_from(crate::support::number(delivery)).expect("a small number")
}

/// How many entries are pending in the group, and how many it has not been given yet.
fn left(server: &RedisServer) -> Option<(i64, usize)> {
    let summary = server.command(&["XPENDING", STREAM, GROUP]).ok()?;
    let groups = server.command(&["XINFO", "GROUPS", STREAM]).ok()?;
    let last = groups.array()?.first()?.array()?.get(7)?.text()?.to_owned();
    let unread = server.command(&["XRANGE", STREAM, &format!("({last}"), "+", "COUNT", "1"]).ok()?;
    Some((summary.array()?.first()?.integer()?, unread.array()?.len()))
}
