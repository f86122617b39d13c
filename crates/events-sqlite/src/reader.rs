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

/// After a file notification the next look follows so soon.
///
/// A process that commits writes to the log first, which notifies, then waits for the disk, and only then shows the commit
/// to others, which notifies nobody. So a notification says that something will be there soon, and the looks that follow
/// come at intervals that double until they are as long as the poll interval.
const FIRST_LOOK: Duration = Duration::from_micros(100);

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
            let poll_interval = config.poll_interval;
            let waiters = Vec::new();
            Reader { connection, waiters, version: None, poll_interval, interval: poll_interval }
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
    /// Until the next look, at most.
    interval: Duration,
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
                        // A commit may be under way whose notification nobody waited for.
                        self.interval = FIRST_LOOK;
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
            let notified = bell.wait(self.pause());
            self.interval =
                if notified { FIRST_LOOK } else { self.interval.saturating_mul(2).min(self.poll_interval) };
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

    /// Until somebody asks, if nobody waits; else no longer than the interval between looks and the first moment something is due.
    fn pause(&self) -> Option<Duration> {
        let due = self.waiters.iter().map(|waiter| waiter.not_before).min()?;
        let until_due = u64::try_from(due.saturating_sub(clock::now())).unwrap_or(0);
        Some(self.interval.min(Duration::from_micros(until_due)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;
    use crate::connection::open_writer;
    use crate::history::has_more;
    use crate::publish::insert;
    use crate::stored::Stored;

    #[tokio::test]
    async fn sees_what_others_write_where_nothing_notifies() {
        let directory = tempfile::tempdir().unwrap();
        let config = SqliteConfig::new(directory.path().join("events.db"));
        let other = open_writer(&config.path, &config).unwrap();
        let bell = Arc::new(Bell::without_notifications(&config.path));
        let (sender, messages) = mpsc::channel();
        let (listening, settings) = (Arc::clone(&bell), config.clone());
        let reader = std::thread::spawn(move || serve(&settings.path, &settings, &messages, &listening));
        for seq in 0..10 {
            let (looked, first_look) = mpsc::channel();
            let (reply, answer) = oneshot::channel();
            let check = move |connection: &Connection, _| {
                let verdict = has_more(connection, "s", seq);
                looked.send(()).ok();
                verdict
            };
            sender.send(Message::Watch(Box::new(check), reply)).unwrap();
            bell.ring();
            // Written after it was looked for in vain, so only a later look finds it.
            first_look.recv().unwrap();
            insert(&other, "s", &[Stored::default()], 0).unwrap();
            let guard = Duration::from_secs(60);
            tokio::time::timeout(guard, answer).await.expect("it is seen").unwrap().unwrap();
        }
        drop(sender);
        bell.ring();
        reader.join().unwrap();
    }
}
