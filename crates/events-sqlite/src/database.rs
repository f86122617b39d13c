//! An open database file: one per file, settings and process, shared by everyone who opened it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak};
use std::{io, thread};

use events_core::{ErrorKind, Result};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::config::SqliteConfig;
use crate::connection::canonical;
use crate::error::Failure;
use crate::reader::{self, Check};
use crate::shelf::Shelf;
use crate::wake::Bell;
use crate::writer::{self, Lasts, Task};

/// What is open in this process.
///
/// Sharing makes commits larger, and two threads of one process do not wait for each other's file lock.
static OPEN: LazyLock<Mutex<HashMap<SqliteConfig, Weak<Database>>>> = LazyLock::new(Mutex::default);

/// An open file; its threads end when the last holder lets go and what was asked of them is done.
#[derive(Debug)]
pub(crate) struct Database {
    config: SqliteConfig,
    writer: Sender<writer::Message>,
    reader: OnceLock<Sender<reader::Message>>,
    bell: Arc<Bell>,
}

impl Database {
    /// Opens the file, or joins those in this process who have opened it with the same settings.
    pub(crate) async fn open(config: &SqliteConfig, operation: &'static str) -> Result<Arc<Self>> {
        config.validate()?;
        let path = canonical(&config.path).map_err(|failure| failure.to_error(operation))?;
        let database = Self::shared(SqliteConfig { path, ..config.clone() }).map_err(|error| {
            Failure::new(
                ErrorKind::Unavailable,
                format!("the system refuses a thread or descriptor: {error}"),
            )
            .to_error(operation)
        })?;
        // The writer opens the file; it answers with its failure if it could not.
        database.write(0, |_| Ok(())).await.map_err(|failure| failure.to_error(operation))?;
        Ok(database)
    }

    fn shared(config: SqliteConfig) -> io::Result<Arc<Self>> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = open.get(&config).and_then(Weak::upgrade) {
            return Ok(database);
        }
        open.retain(|_, database| database.strong_count() > 0);
        let bell = Arc::new(Bell::new(&config.path)?);
        let (writer, messages) = mpsc::channel();
        let (settings, bell_of_writer) = (config.clone(), Arc::clone(&bell));
        thread::Builder::new()
            .name("events-sqlite-write".to_owned())
            .spawn(move || writer::serve(&settings.path, &settings, &messages, &bell_of_writer))?;
        let database = Arc::new(Self { config: config.clone(), writer, reader: OnceLock::new(), bell });
        open.insert(config, Arc::downgrade(&database));
        Ok(database)
    }

    pub(crate) fn config(&self) -> &SqliteConfig {
        &self.config
    }

    /// Runs `work` in a transaction and waits until it is committed; `rows` is about how much it writes.
    ///
    /// The work is handed over when this is called; dropping the future does not undo it.
    pub(crate) fn write<T, W>(
        &self,
        rows: usize,
        work: W,
    ) -> impl Future<Output = Result<T, Failure>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        // Who asked may have stopped waiting.
        self.write_then(rows, Lasts::AsConfigured, work, move |outcome| drop(reply.send(outcome)));
        async move { answer.await.unwrap_or_else(|_| Err(Failure::thread_ended())) }
    }

    /// Runs `work` in a transaction and calls `done` on the writing thread once its outcome is certain.
    pub(crate) fn write_then<T: Send + 'static>(
        &self,
        rows: usize,
        lasts: Lasts,
        work: impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
        done: impl FnOnce(Result<T, Failure>) + Send + 'static,
    ) {
        let task = Box::new(Task { rows, lasts, work, output: None, done });
        // The thread ends before its last sender only by a panic; then the task is dropped and whoever waits notices.
        drop(self.writer.send(writer::Message::Write(task)));
    }

    /// Keeps the leases of what lies on the shelf alive while it lies there.
    pub(crate) fn keep(&self, shelf: &Arc<Shelf>) {
        drop(self.writer.send(writer::Message::Keep(Arc::downgrade(shelf))));
    }

    /// Asks the database without changing it.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        let question =
            move |connection: Result<&Connection, Failure>| drop(reply.send(connection.and_then(work)));
        self.ask(reader::Message::Read(Box::new(question)));
        answer.await.unwrap_or_else(|_| Err(Failure::thread_ended()))
    }

    /// Waits until the check finds something, whoever wrote it. It is checked at once, so nothing is missed between asking
    /// for something and waiting for it.
    pub(crate) async fn watch(&self, check: Check) -> Result<(), Failure> {
        let (reply, answer) = oneshot::channel();
        self.ask(reader::Message::Watch(check, reply));
        answer.await.unwrap_or_else(|_| Err(Failure::thread_ended()))
    }

    fn ask(&self, message: reader::Message) {
        drop(self.reader().send(message));
        self.bell.ring();
    }

    /// The reading thread, started when first needed: who only publishes has none.
    fn reader(&self) -> &Sender<reader::Message> {
        self.reader.get_or_init(|| {
            let (sender, messages) = mpsc::channel();
            let (settings, bell) = (self.config.clone(), Arc::clone(&self.bell));
            let thread = thread::Builder::new().name("events-sqlite-read".to_owned());
            // Without the thread the channel is closed at once, and everyone who asks is told that it has ended.
            drop(thread.spawn(move || reader::serve(&settings.path, &settings, &messages, &bell)));
            sender
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The reading thread sleeps until it is rung, so its channel has to close before that.
        self.reader.take();
        self.bell.ring();
    }
}
