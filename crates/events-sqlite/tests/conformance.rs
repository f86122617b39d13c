//! The conformance suite on a database file.

#![expect(clippy::unwrap_used, reason = "a harness that cannot do what it says fails its test")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events_core::wire::{BODY_FIELD, RawMessage};
use events_core::{ConsumerOptions, Event, EventAdmin, EventConsumer, EventPublisher, MessageId};
use events_sqlite::{SqliteAdmin, SqliteConfig, SqliteConsumer, SqlitePublisher};
use events_testkit::{Fault, Harness};
use rusqlite::{Connection, params};
use tempfile::TempDir;

/// Long enough for a case on a busy machine, short enough to wait for: the clock is the system's and cannot be moved.
const LEASE: Duration = Duration::from_millis(800);

/// A file in a directory of its own.
#[derive(Debug)]
struct File {
    config: SqliteConfig,
    _directory: TempDir,
}

impl File {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { config: SqliteConfig::new(directory.path().join("events.db")), _directory: directory }
    }

    /// A connection of our own, as another program would have one.
    fn connection(&self) -> Connection {
        let connection = Connection::open(&self.config.path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection
    }

    /// Writes a message as its columns are documented.
    fn insert_raw(&self, stream: &str, message: &RawMessage) -> MessageId {
        let mut body = None;
        let mut fields = Vec::new();
        for (at, (name, value)) in message.fields.iter().enumerate() {
            if at == 0 && name == BODY_FIELD.as_bytes() {
                body = Some(value);
                continue;
            }
            for part in [name, value] {
                fields.extend_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes());
                fields.extend_from_slice(part);
            }
        }
        let connection = self.connection();
        let transaction = connection.unchecked_transaction().unwrap();
        let add = "INSERT INTO streams (name, last_seq, last_at) VALUES (?1, 1, 0) \
                   ON CONFLICT DO UPDATE SET last_seq = last_seq + 1 RETURNING id, last_seq";
        let (stream_id, seq): (i64, i64) =
            transaction.query_row(add, [stream], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        transaction
            .execute(
                "INSERT INTO events (id, published_at, body, fields) \
                 SELECT (?1 << 40) | ?2, max(last_at, unixepoch() * 1000000), ?3, ?4 FROM streams WHERE id = ?1",
                params![stream_id, seq, body, fields],
            )
            .unwrap();
        transaction.commit().unwrap();
        seq.to_string().into()
    }
}

#[async_trait]
impl Harness for File {
    async fn publisher(&self, stream: &str) -> Arc<dyn EventPublisher> {
        Arc::new(SqlitePublisher::open(&self.config, stream).await.unwrap())
    }

    async fn consumer(&self, stream: &str, options: ConsumerOptions) -> Box<dyn EventConsumer> {
        Box::new(SqliteConsumer::open(&self.config, stream, options).await.unwrap())
    }

    async fn admin(&self, stream: &str) -> Arc<dyn EventAdmin> {
        Arc::new(SqliteAdmin::open(&self.config, stream).await.unwrap())
    }

    fn lease(&self) -> Duration {
        LEASE
    }

    async fn advance(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn publish_raw(&self, stream: &str, message: RawMessage) -> MessageId {
        // Whoever publishes first makes the tables.
        let publisher = SqlitePublisher::open(&self.config, stream).await.unwrap();
        let id = self.insert_raw(stream, &message);
        publisher.close().await.unwrap();
        id
    }

    async fn reap(&self, stream: &str, group: &str) -> bool {
        // The names go with a sweep, and a sweep comes after 4,096 rows.
        self.connection()
            .execute(
                "INSERT INTO consumers (group_id, name) SELECT g.id, 'gone' FROM consumer_groups g \
             JOIN streams s ON s.id = g.stream_id WHERE s.name = ?1 AND g.name = ?2",
                [stream, group],
            )
            .unwrap();
        let publisher = SqlitePublisher::open(&self.config, "elsewhere").await.unwrap();
        let event = Event::new("a.b", "s", serde_json::json!({})).unwrap();
        let gone = "SELECT count(*) FROM consumers WHERE name = 'gone'";
        while self.connection().query_row(gone, [], |row| row.get::<_, i64>(0)).unwrap() > 0 {
            publisher.publish_batch(&vec![event.clone(); 1_000]).await.unwrap().into_ids().unwrap();
        }
        publisher.close().await.unwrap();
        true
    }

    async fn consumer_names(&self, stream: &str, group: &str) -> Option<usize> {
        let count = "SELECT count(*) FROM consumers c JOIN consumer_groups g ON g.id = c.group_id \
                     JOIN streams s ON s.id = g.stream_id WHERE s.name = ?1 AND g.name = ?2";
        Some(self.connection().query_row(count, [stream, group], |row| row.get(0)).unwrap())
    }

    async fn cause(&self, fault: Fault<'_>) -> bool {
        let connection = self.connection();
        let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
            connection.execute(sql, values).unwrap();
        };
        match fault {
            Fault::RemoveEvent { stream, id } => {
                let seq: i64 = id.as_str().parse().unwrap();
                run(
                    "DELETE FROM events WHERE id = ((SELECT id FROM streams WHERE name = ?1) << 40) | ?2",
                    &[&stream, &seq],
                );
            }
            Fault::DeleteGroup { stream, group } => {
                let of_group = "(SELECT g.id FROM consumer_groups g JOIN streams s ON s.id = g.stream_id \
                                WHERE s.name = ?1 AND g.name = ?2)";
                run(&format!("DELETE FROM deliveries WHERE group_id = {of_group}"), &[&stream, &group]);
                run(&format!("DELETE FROM consumer_groups WHERE id = {of_group}"), &[&stream, &group]);
            }
            Fault::DeleteStream { stream } => {
                let of_stream = "(SELECT id FROM streams WHERE name = ?1)";
                let groups = format!("(SELECT id FROM consumer_groups WHERE stream_id = {of_stream})");
                run(&format!("DELETE FROM deliveries WHERE group_id IN {groups}"), &[&stream]);
                run(&format!("DELETE FROM consumer_groups WHERE stream_id = {of_stream}"), &[&stream]);
                run(&format!("DELETE FROM events WHERE id >> 40 = {of_stream}"), &[&stream]);
                run("DELETE FROM streams WHERE name = ?1", &[&stream]);
            }
            Fault::Flush => {
                for table in
                    ["deliveries", "consumers", "consumer_groups", "events", "streams", "dead_letters"]
                {
                    run(&format!("DELETE FROM {table}"), &[]);
                }
            }
            _ => return false,
        }
        true
    }

    fn not_shown(&self) -> &[(u8, &'static str)] {
        &[
            (
                36,
                "there is no server that could be killed; `tests/system/processes.rs` kills the processes that use the file",
            ),
            (37, "there is no server that could freeze"),
        ]
    }
}

events_testkit::conformance_suite!(File::new());
