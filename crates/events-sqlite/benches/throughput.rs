//! Events a second through a database file, as a ratio to bare rusqlite doing the equivalent in the same run.
//!
//! `cargo bench -p events-sqlite`; the directory for the files is the system's temporary one, or `EVENTS_BENCH_DIR`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures and prints")]

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events_core::wire::encode;
use events_core::{ConsumerOptions, Event, EventConsumer, EventPublisher, ack_all};
use events_sqlite::{SqliteConfig, SqliteConsumer, SqlitePublisher};
use rusqlite::{Connection, params};

const EVENTS: usize = 200 * 1_024;
const BATCH: usize = 256;
const ROUNDS: usize = 3;

fn main() {
    // `cargo test --benches` runs this too, only to see whether it still works.
    let testing = std::env::args().any(|argument| argument == "--test");
    let (events, rounds) = if testing { (4 * BATCH, 1) } else { (EVENTS, ROUNDS) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let directory = std::env::var_os("EVENTS_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let batch = events_of_usual_size();
    println!(
        "{events} events of {} bytes in batches of {BATCH}, synchronous=FULL",
        encode(&batch[0]).body().len()
    );
    // Rounds take turns, so that a disk that gets slower meanwhile does so for both.
    let mut best = [Duration::MAX; 5];
    for _ in 0..rounds {
        let directory = tempfile::tempdir_in(&directory).unwrap();
        let (written, deleted) = bare(&directory.path().join("bare.db"), events, &batch);
        let config = SqliteConfig::new(directory.path().join("events.db"));
        let (published, received) = runtime.block_on(ours(&config, events, &batch));
        let config = SqliteConfig::new(directory.path().join("several.db"));
        let shared = runtime.block_on(several_publishers(&config, events, &batch));
        for (best, taken) in best.iter_mut().zip([written, published, shared, deleted, received]) {
            *best = taken.min(*best);
        }
    }
    let rate = |taken: Duration| events as f64 / taken.as_secs_f64();
    let [written, published, shared, deleted, received] = best.map(rate);
    println!("insert          bare rusqlite {written:>9.0}/s");
    println!("publish         one publisher {published:>9.0}/s   ratio {:.2}", published / written);
    println!("publish       four publishers {shared:>9.0}/s   ratio {:.2}", shared / written);
    println!("read and delete bare rusqlite {deleted:>9.0}/s");
    println!("receive and ack  one consumer {received:>9.0}/s   ratio {:.2}", received / deleted);
}

fn events_of_usual_size() -> Vec<Event> {
    let payload = serde_json::json!({"cluster": "app-sre-prod", "users": ["alice", "bob", "carol"], "n": 123_456, "ok": true});
    (0..BATCH)
        .map(|_| Event::new("slack-usergroups.update_users", "qontract-api", &payload).unwrap())
        .collect()
}

/// The ceiling: one table, prepared statements, a transaction for each batch, nothing else.
fn bare(path: &Path, events: usize, batch: &[Event]) -> (Duration, Duration) {
    let mut connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection
        .execute_batch(
            "CREATE TABLE events (id INTEGER PRIMARY KEY, published_at INTEGER NOT NULL, body BLOB NOT NULL)",
        )
        .unwrap();
    let bodies: Vec<Vec<u8>> = batch.iter().map(|event| encode(event).into_body()).collect();
    let start = Instant::now();
    for _ in 0..events / BATCH {
        let transaction = connection.transaction().unwrap();
        let mut insert =
            transaction.prepare_cached("INSERT INTO events (published_at, body) VALUES (?1, ?2)").unwrap();
        for body in &bodies {
            insert.execute(params![1_770_724_800_000_000_i64, body]).unwrap();
        }
        drop(insert);
        transaction.commit().unwrap();
    }
    let written = start.elapsed();
    let start = Instant::now();
    let mut read = 0;
    while read < events {
        let transaction = connection.transaction().unwrap();
        let mut select =
            transaction.prepare_cached("SELECT id, body FROM events ORDER BY id LIMIT ?1").unwrap();
        let rows: Vec<(i64, Vec<u8>)> = select
            .query_map([BATCH as i64], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        let mut delete = transaction.prepare_cached("DELETE FROM events WHERE id = ?1").unwrap();
        for (id, _) in &rows {
            delete.execute([id]).unwrap();
        }
        read += rows.len();
        drop((select, delete));
        transaction.commit().unwrap();
    }
    (written, start.elapsed())
}

async fn ours(config: &SqliteConfig, events: usize, batch: &[Event]) -> (Duration, Duration) {
    let publisher: Arc<dyn EventPublisher> = Arc::new(SqlitePublisher::open(config, "bench").await.unwrap());
    let start = Instant::now();
    for _ in 0..events / BATCH {
        assert!(publisher.publish_batch(batch).await.unwrap().is_complete());
    }
    let published = start.elapsed();
    let consumer = SqliteConsumer::open(config, "bench", ConsumerOptions::new("g")).await.unwrap();
    let mut consumer: Box<dyn EventConsumer> = Box::new(consumer);
    let start = Instant::now();
    let mut received = 0;
    while received < events {
        let deliveries = consumer.receive(NonZeroUsize::new(BATCH).unwrap(), Duration::ZERO).await.unwrap();
        received += ack_all(deliveries).await.into_result().unwrap();
    }
    let taken = start.elapsed();
    consumer.close().await.unwrap();
    (published, taken)
}

/// Four tasks that publish at the same time share commits.
async fn several_publishers(config: &SqliteConfig, events: usize, batch: &[Event]) -> Duration {
    let publisher: Arc<dyn EventPublisher> = Arc::new(SqlitePublisher::open(config, "bench").await.unwrap());
    let start = Instant::now();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (publisher, batch) = (Arc::clone(&publisher), batch.to_vec());
            tokio::spawn(async move {
                for _ in 0..events / BATCH / 4 {
                    assert!(publisher.publish_batch(&batch).await.unwrap().is_complete());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    start.elapsed()
}
