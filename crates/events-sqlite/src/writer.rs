//! The one thread of a database that writes: what is asked for at the same time is committed together.
//!
//! A commit that waits for the disk costs more than hundreds of inserts, so whoever asks while a commit is under way
//! shares the next one.

use std::cell::Cell;
use std::path::Path;
use std::sync::Weak;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use events_core::ErrorKind;
use rusqlite::Connection;

use crate::clock;
use crate::config::{SqliteConfig, Synchronous};
use crate::connection::{open_writer, synchronize, unless_busy};
use crate::error::Failure;
use crate::retention::Sweeper;
use crate::shelf::Shelf;
use crate::wake::Bell;

/// No more rows than this go into one transaction as long as it consists of several jobs; it keeps a transaction at a few
/// milliseconds, for as long as other processes have to wait for it.
const MOST_ROWS: usize = 2_048;

/// How often the thread looks around when nothing is asked of it.
const IDLE: Duration = Duration::from_secs(60);

/// What a loss of power may do to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// As little as the configuration says.
    AsConfigured,
    /// Undo it, as long as nothing that lasts was committed after it: the next wait for the disk covers all before it.
    /// For what is as if it had never been when it is undone.
    UntilPowerFails,
}

/// One thing to do inside a transaction, and somebody to tell.
pub(crate) trait Job: Send {
    /// Roughly how many rows it writes.
    fn rows(&self) -> usize;

    /// What a loss of power may do to it once it is done.
    fn lasts(&self) -> Lasts;

    /// Does the work and keeps its result. It is done again from the start when a transaction had to be undone.
    fn run(&mut self, connection: &Connection) -> Result<(), Failure>;

    /// Tells whoever waits, once the outcome is certain.
    fn finish(self: Box<Self>, outcome: Result<(), Failure>);
}

/// What the thread is asked.
pub(crate) enum Message {
    /// Do this.
    Write(Box<dyn Job>),
    /// Extend the leases of what lies on the shelf, for as long as something does.
    Keep(Weak<Shelf>),
}

/// Serves messages until nobody is left to send any.
pub(crate) fn serve(path: &Path, config: &SqliteConfig, messages: &Receiver<Message>, bell: &Bell) {
    match open_writer(path, config) {
        Ok(connection) => {
            let writer = Writer {
                connection,
                busy_timeout: config.busy_timeout,
                configured: config.synchronous,
                current: Cell::new(config.synchronous),
                bell,
            };
            writer.serve(messages, Sweeper::new(config.retention.clone()));
        }
        Err(failure) => {
            for message in messages {
                if let Message::Write(job) = message {
                    job.finish(Err(failure.clone()));
                }
            }
        }
    }
}

struct Writer<'a> {
    connection: Connection,
    busy_timeout: Duration,
    configured: Synchronous,
    current: Cell<Synchronous>,
    bell: &'a Bell,
}

impl Writer<'_> {
    fn serve(&self, messages: &Receiver<Message>, mut sweeper: Sweeper) {
        let mut kept: Vec<Weak<Shelf>> = Vec::new();
        loop {
            let mut jobs = Vec::new();
            match messages.recv_timeout(self.pause(&kept, &sweeper)) {
                Ok(first) => collect(first, messages, &mut jobs, &mut kept),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if !jobs.is_empty() {
                sweeper.wrote(jobs.iter().map(|job| job.rows()).sum());
                self.commit_together(jobs);
            }
            self.keep(&mut kept);
            if sweeper.is_due() {
                // A failure here fails nobody's call, and the next sweep finds the same to do.
                let swept =
                    self.transact(Lasts::AsConfigured, |connection| sweeper.sweep(connection, clock::now()));
                if let Err(failure) = swept {
                    tracing::warn!(error = %failure.to_error("retention"), "old events could not be removed");
                    sweeper.postpone();
                }
            }
        }
    }

    /// How long to wait for a message before there is something to do anyway.
    fn pause(&self, kept: &[Weak<Shelf>], sweeper: &Sweeper) -> Duration {
        let leases = kept.iter().filter_map(|shelf| shelf.upgrade()?.next_extension());
        let next = leases.chain([sweeper.next()]).min();
        next.map_or(IDLE, |at| at.saturating_duration_since(Instant::now()))
    }

    /// Extends the leases of what waits to be handed out, where it is time.
    fn keep(&self, kept: &mut Vec<Weak<Shelf>>) {
        kept.retain(|shelf| {
            let Some(shelf) = shelf.upgrade() else { return false };
            if shelf.next_extension().is_some_and(|at| at <= Instant::now())
                && let Err(failure) = self.transact(Lasts::AsConfigured, |connection| shelf.extend(connection, clock::now()))
            {
                tracing::warn!(error = %failure.to_error("extend"), "leases of fetched events could not be extended");
                shelf.postpone_extension();
            }
            shelf.is_still_kept()
        });
    }

    /// Does the jobs in one transaction; one that fails leaves nothing behind and does not touch the others.
    fn commit_together(&self, mut jobs: Vec<Box<dyn Job>>) {
        let mut failures: Vec<Option<Failure>> = Vec::with_capacity(jobs.len());
        let lasts = jobs.iter().map(|job| job.lasts()).find(|lasts| *lasts == Lasts::AsConfigured);
        let committed = self.transact(lasts.unwrap_or(Lasts::UntilPowerFails), |connection| {
            failures.clear();
            if let [job] = jobs.as_mut_slice() {
                return job.run(connection);
            }
            for job in &mut jobs {
                failures.push(run_apart(connection, job.as_mut())?);
            }
            Ok(())
        });
        match committed {
            Ok(()) => {
                self.bell.ring_if_awaited();
                let failures = failures.into_iter().chain(std::iter::repeat(None));
                for (job, failure) in jobs.into_iter().zip(failures) {
                    job.finish(failure.map_or(Ok(()), Err));
                }
            }
            // The whole transaction is undone for certain, and the room that one job lacks may be enough for another.
            Err(failure) if jobs.len() > 1 && failure.kind() == ErrorKind::Full => {
                for job in jobs {
                    self.commit_together(vec![job]);
                }
            }
            Err(failure) => {
                for job in jobs {
                    job.finish(Err(failure.clone()));
                }
            }
        }
    }

    /// Runs `work` in a transaction that has the right to write from its beginning, so that it cannot be overtaken.
    fn transact<T>(
        &self,
        lasts: Lasts,
        mut work: impl FnMut(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let wanted = match lasts {
            Lasts::AsConfigured => self.configured,
            Lasts::UntilPowerFails => Synchronous::Normal,
        };
        if self.current.get() != wanted {
            synchronize(&self.connection, wanted)?;
            self.current.set(wanted);
        }
        let statement = |sql| Ok::<_, Failure>(self.connection.prepare_cached(sql)?.execute([]).map(drop)?);
        unless_busy(self.busy_timeout, || statement("BEGIN IMMEDIATE"))?;
        let outcome = work(&self.connection).and_then(|result| statement("COMMIT").map(|()| result));
        // Some failures have undone the transaction already.
        if outcome.is_err() && !self.connection.is_autocommit() {
            statement("ROLLBACK")?;
        }
        outcome
    }
}

/// Takes what has been asked for meanwhile, up to what one transaction should hold.
fn collect(
    first: Message,
    messages: &Receiver<Message>,
    jobs: &mut Vec<Box<dyn Job>>,
    kept: &mut Vec<Weak<Shelf>>,
) {
    let mut rows = 0;
    let mut next = Some(first);
    while let Some(message) = next {
        match message {
            Message::Write(job) => {
                rows += job.rows();
                jobs.push(job);
            }
            Message::Keep(shelf) => kept.push(shelf),
        }
        next = if rows < MOST_ROWS { messages.try_recv().ok() } else { None };
    }
}

/// Runs a job so that its failure can be undone by itself; the outer error says that the whole transaction is gone.
fn run_apart(connection: &Connection, job: &mut dyn Job) -> Result<Option<Failure>, Failure> {
    let statement = |sql| connection.prepare_cached(sql)?.execute([]).map(drop);
    statement("SAVEPOINT job")?;
    let failure = job.run(connection).err();
    if let Some(failure) = &failure {
        if connection.is_autocommit() {
            return Err(failure.clone());
        }
        statement("ROLLBACK TO job")?;
    }
    statement("RELEASE job")?;
    Ok(failure)
}

/// A job made of two functions.
pub(crate) struct Task<T, W, D> {
    pub(crate) rows: usize,
    pub(crate) lasts: Lasts,
    pub(crate) work: W,
    pub(crate) output: Option<T>,
    pub(crate) done: D,
}

impl<T, W, D> Job for Task<T, W, D>
where
    T: Send,
    W: FnMut(&Connection) -> Result<T, Failure> + Send,
    D: FnOnce(Result<T, Failure>) + Send,
{
    fn rows(&self) -> usize {
        self.rows
    }

    fn lasts(&self) -> Lasts {
        self.lasts
    }

    fn run(&mut self, connection: &Connection) -> Result<(), Failure> {
        self.output = Some((self.work)(connection)?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), Failure>) {
        let Self { output, done, .. } = *self;
        done(outcome.and_then(|()| output.ok_or_else(Failure::thread_ended)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use events_core::ErrorKind;

    use super::*;
    use crate::database::Database;

    async fn open(directory: &tempfile::TempDir) -> Arc<Database> {
        let database = Database::open(&SqliteConfig::new(directory.path().join("events.db")), "test").await;
        let database = database.unwrap();
        database.write(0, |c| Ok(c.execute_batch("CREATE TABLE t (x BLOB)")?)).await.unwrap();
        database
    }

    /// Keeps the writing thread busy until the sender is dropped, so that what is asked for meanwhile meets.
    fn hold(database: &Database) -> mpsc::Sender<()> {
        let (hold, held) = mpsc::channel();
        drop(database.write(0, move |_| Ok(held.recv().is_ok())));
        hold
    }

    fn insert(bytes: usize) -> impl FnMut(&Connection) -> Result<(), Failure> {
        move |connection| Ok(connection.execute("INSERT INTO t VALUES (zeroblob(?1))", [bytes]).map(drop)?)
    }

    fn count(connection: &Connection) -> Result<i64, Failure> {
        Ok(connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?)
    }

    #[tokio::test]
    async fn calls_that_meet_share_one_transaction() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(&directory).await;
        let held = hold(&database);
        let writes: Vec<_> = (0..3).map(|_| database.write(1, insert(1))).collect();
        let path = database.config().path.clone();
        let seen = database.write(0, move |inside| {
            // Before anything is committed: all three are visible inside, none outside.
            Ok((count(inside)?, count(&Connection::open(&path)?)?))
        });
        drop(held);
        assert_eq!(seen.await.unwrap(), (3, 0));
        for write in writes {
            write.await.unwrap();
        }
        assert_eq!(database.read(count).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn what_must_last_waits_for_the_disk_and_what_shares_its_commit_does_too() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(&directory).await;
        let synchronous = |lasts| {
            let (reply, answer) = tokio::sync::oneshot::channel();
            let ask = |connection: &Connection| {
                Ok(connection.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))?)
            };
            database.write_then(0, lasts, ask, move |outcome| drop(reply.send(outcome)));
            async { answer.await.unwrap().unwrap() }
        };
        let (normal, full) = (1, 2);
        assert_eq!(synchronous(Lasts::UntilPowerFails).await, normal);
        assert_eq!(synchronous(Lasts::AsConfigured).await, full);
        let held = hold(&database);
        let (passing, lasting) = (synchronous(Lasts::UntilPowerFails), synchronous(Lasts::AsConfigured));
        drop(held);
        assert_eq!((passing.await, lasting.await), (full, full));
    }

    #[tokio::test]
    async fn a_call_that_fails_leaves_those_it_met_alone() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(&directory).await;
        let held = hold(&database);
        let (before, after) = (database.write(1, insert(1)), insert(1));
        let failing = database.write(1, |connection| {
            insert(1)(connection)?;
            Ok(connection.execute_batch("INSERT INTO missing VALUES (1)")?)
        });
        let after = database.write(1, after);
        drop(held);
        before.await.unwrap();
        assert_eq!(failing.await.unwrap_err().kind(), ErrorKind::Backend);
        after.await.unwrap();
        assert_eq!(database.read(count).await.unwrap(), 2, "what the failing call had written is undone");
    }

    #[tokio::test]
    async fn a_call_that_lacks_room_leaves_those_it_met_alone() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(&directory).await;
        let limit = |connection: &Connection| {
            let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            Ok(connection.pragma_update_and_check(None, "max_page_count", pages + 10, |_| Ok(()))?)
        };
        database.write(0, limit).await.unwrap();
        let held = hold(&database);
        let before = database.write(1, insert(1));
        let failing = database.write(1, insert(1_000_000));
        let after = database.write(1, insert(1));
        drop(held);
        before.await.unwrap();
        assert_eq!(failing.await.unwrap_err().kind(), ErrorKind::Full);
        after.await.unwrap();
        assert_eq!(database.read(count).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn another_writer_is_waited_for_as_long_as_configured() {
        let directory = tempfile::tempdir().unwrap();
        let patient = open(&directory).await;
        let mut config = patient.config().clone();
        config.busy_timeout = Duration::from_millis(20);
        let impatient = Database::open(&config, "test").await.unwrap();
        let other = Connection::open(&config.path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let waiting = patient.write(1, insert(1));
        assert_eq!(impatient.write(1, insert(1)).await.unwrap_err().kind(), ErrorKind::Timeout);
        other.execute_batch("COMMIT").unwrap();
        waiting.await.unwrap();
    }
}
