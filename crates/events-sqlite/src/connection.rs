//! Opens the file: checks the place, recognises what lies there, and sets SQLite up.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use events_core::ErrorKind;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::config::{SqliteConfig, Synchronous};
use crate::error::Failure;
use crate::schema::{self, State};

/// Prepared statements kept for the next time; there are fewer than these.
const STATEMENTS: usize = 64;

/// The write-ahead log is cut back to this size after a checkpoint, so that one burst does not occupy the disk for good.
const WAL_BYTES_KEPT: i64 = 64 * 1024 * 1024;

/// How long to wait before asking again for a database that is busy: SQLite has no queue of those who wait, so the next
/// one in is who asks at the right moment.
const BUSY_PAUSE: Duration = Duration::from_micros(100);

/// The file's one name, whatever way leads to it, so that everyone in this process shares it.
pub(crate) fn canonical(path: &Path) -> Result<PathBuf, Failure> {
    let refuse = |message: String| Err(Failure::new(ErrorKind::InvalidConfig, message));
    // Never by opening the file: closing it again would drop the file locks SQLite holds in this process.
    if let Ok(existing) = path.canonicalize() {
        if existing.is_dir() {
            return refuse(format!("`{}` is a directory, not a database file", path.display()));
        }
        return Ok(existing);
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Some(name) = path.file_name() else {
        return refuse(format!("`{}` names no file", path.display()));
    };
    match directory.canonicalize() {
        Ok(directory) if directory.is_dir() => Ok(directory.join(name)),
        Ok(_) => refuse(format!("`{}` is not a directory", directory.display())),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(Failure::new(
            ErrorKind::PermissionDenied,
            format!("the directory `{}` cannot be entered", directory.display()),
        )),
        Err(error) => refuse(format!("the directory `{}` cannot be used: {error}", directory.display())),
    }
}

/// Opens the file for writing, creates or migrates its tables.
pub(crate) fn open_writer(path: &Path, config: &SqliteConfig) -> Result<Connection, Failure> {
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_CREATE, config)?;
    let state = unless_busy(config.busy_timeout, || schema::inspect(&connection))?;
    if state == State::Empty {
        // Only before the first page is written; lets space that retention frees go back to the file system.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    // SQLite does not wait for others while it changes the journal mode, whatever its busy timeout.
    let mode: String = unless_busy(config.busy_timeout, || {
        Ok(connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?)
    })?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Failure::new(
            ErrorKind::InvalidConfig,
            "the file system offers no write-ahead log, without which several processes cannot share the file",
        ));
    }
    synchronize(&connection, config.synchronous)?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT, |_| Ok(()))?;
    if state != State::Current {
        schema::migrate(&mut connection)?;
    }
    // From here on the only statement that can meet another writer is BEGIN IMMEDIATE, which waits in its own way.
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

/// Sets what a commit waits for; to be called between transactions.
pub(crate) fn synchronize(connection: &Connection, synchronous: Synchronous) -> Result<(), Failure> {
    let synchronous = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    Ok(connection.pragma_update(None, "synchronous", synchronous)?)
}

/// Opens the file, which a writer has made ready, for reading.
pub(crate) fn open_reader(path: &Path, config: &SqliteConfig) -> Result<Connection, Failure> {
    let connection = open(path, OpenFlags::empty(), config)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn open(path: &Path, further: OpenFlags, config: &SqliteConfig) -> Result<Connection, Failure> {
    // Each connection belongs to one thread, so SQLite's own mutexes are left out.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | further;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Else SQLite plans some statements anew for every value that is bound, a claim's among them, though its plan is the same.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(config.busy_timeout)?;
    Ok(connection)
}

/// Repeats what other processes are in the way of, for as long as `patience` lasts.
pub(crate) fn unless_busy<T>(
    patience: Duration,
    mut attempt: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(failure) if failure.is_busy() && start.elapsed() < patience => thread::sleep(BUSY_PAUSE),
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_planned_once_whatever_is_bound_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let config = SqliteConfig::new(directory.path().join("events.db"));
        let writer = open_writer(&config.path, &config).unwrap();
        for connection in [open_reader(&config.path, &config).unwrap(), writer] {
            let range = "SELECT id FROM events WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";
            let mut statement = connection.prepare(range).unwrap();
            for bound in 0..10 {
                assert!(!statement.exists([bound, bound + 100, bound]).unwrap());
            }
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
        }
    }

    /// Programs that are started together make the file together; each may find it half made by another.
    #[test]
    fn several_may_make_the_file_at_the_same_moment() {
        const PROGRAMS: usize = 4;
        for _ in 0..100 {
            let directory = tempfile::tempdir().unwrap();
            let config = SqliteConfig::new(directory.path().join("events.db"));
            let together = Barrier::new(PROGRAMS);
            thread::scope(|scope| {
                for _ in 0..PROGRAMS {
                    scope.spawn(|| {
                        together.wait();
                        let connection = open_writer(&config.path, &config).unwrap();
                        assert_eq!(schema::inspect(&connection).unwrap(), State::Current);
                    });
                }
            });
        }
    }
}
