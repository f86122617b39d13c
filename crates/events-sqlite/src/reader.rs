//! The one thread of a database that reads: answers questions, and watches for what somebody waits for.

use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::clock;
use crate::config::SqliteConfig;
use crate::connection::open_reader;
use crate::error::Failure;
use crate::wake::Bell;

/// How a question is answered; it gets the failure when there is no connection.
pub(crate) type Question = Box<dyn FnOnce(Result<&Connection, Failure>) + Send>;

/// Looks whether what somebody waits for is there.
pub(crate) type Check = Box<dyn FnMut(&Connection, i64) -> Result<Verdict, Failure> + Send>;

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is there.
    Ready,
    /// Not before somebody writes, or this moment.
    NotBefore(i64),
}

/// What the thread is asked.
pub(crate) enum Message {
    /// Answer this.
    Read(Question),
    /// Tell when this is ready.
    Watch(Check, oneshot::Sender<Result<(), Failure>>),
}

/// Somebody who waits. Who does not any more has dropped the other end.
struct Waiter {
    check: Check,
    reply: oneshot::Sender<Result<(), Failure>>,
    not_before: i64,
}

/// Serves messages until nobody is left to send any; who sends one rings the bell.
pub(crate) fn serve(path: &Path, config: &SqliteConfig, messages: &Receiver<Message>, bell: &Bell) {
    match open_reader(path, config) {
        Ok(connection) => {
            Reader { connection, waiters: Vec::new(), version: None, poll_interval: config.poll_interval }
                .serve(messages, bell);
        }
        Err(failure) => {
            for message in messages {
                match message {
                    Message::Read(question) => question(Err(failure.clone())),
                    Message::Watch(_, reply) => drop(reply.send(Err(failure.clone()))),
                }
            }
        }
    }
}

struct Reader {
    connection: Connection,
    waiters: Vec<Waiter>,
    /// SQLite's counter of what others have committed, when the waiters were last looked after.
    version: Option<i64>,
    poll_interval: Duration,
}

impl Reader {
    fn serve(mut self, messages: &Receiver<Message>, bell: &Bell) {
        let mut awaited = false;
        loop {
            loop {
                match messages.try_recv() {
                    Ok(Message::Read(question)) => question(Ok(&self.connection)),
                    Ok(Message::Watch(check, reply)) => {
                        self.waiters.push(Waiter { check, reply, not_before: 0 });
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.waiters.retain(|waiter| !waiter.reply.is_closed());
            if awaited == self.waiters.is_empty() {
                awaited = !awaited;
                bell.set_awaited(awaited);
            }
            self.look();
            bell.wait(self.pause());
        }
    }

    /// Looks after the waiters for whom something may have changed.
    fn look(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        // The counter is read first: what is committed after it was read shows at the next look.
        let version = self.version();
        let changed = version.is_none() || version != self.version;
        self.version = version;
        let now = clock::now();
        let waiters = std::mem::take(&mut self.waiters);
        for mut waiter in waiters {
            if !changed && waiter.not_before > now {
                self.waiters.push(waiter);
                continue;
            }
            match (waiter.check)(&self.connection, now) {
                Ok(Verdict::NotBefore(moment)) => {
                    waiter.not_before = moment;
                    self.waiters.push(waiter);
                }
                Ok(Verdict::Ready) => drop(waiter.reply.send(Ok(()))),
                Err(failure) => drop(waiter.reply.send(Err(failure))),
            }
        }
    }

    fn version(&self) -> Option<i64> {
        let mut statement = self.connection.prepare_cached("PRAGMA data_version").ok()?;
        statement.query_row([], |row| row.get(0)).ok()
    }

    /// Until somebody asks, if nobody waits; else no longer than the poll interval and the first moment something is due.
    fn pause(&self) -> Option<Duration> {
        let due = self.waiters.iter().map(|waiter| waiter.not_before).min()?;
        let until_due = u64::try_from(due.saturating_sub(clock::now())).unwrap_or(0);
        Some(self.poll_interval.min(Duration::from_micros(until_due)))
    }
}
