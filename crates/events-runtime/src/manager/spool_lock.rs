//! What keeps a second manager away from a spool.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use events_core::{Error, ErrorKind, Result};
use tokio::time::{Instant, sleep};

/// How often a lock that somebody has is asked for again.
const PAUSE: Duration = Duration::from_millis(50);

/// The exclusive use of a spool file, among all processes of the machine.
///
/// It is the operating system's advisory lock on a file beside the spool, named as the spool with `.lock` at the end. The
/// system lets go of it when the process ends, however it ends; the empty file stays, since removing it would let two
/// processes hold locks on two files of the same name.
#[derive(Debug)]
pub struct SpoolLock {
    file: File,
}

impl SpoolLock {
    /// Takes the lock for the spool at `spool`, or fails at once.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) when somebody has it, in this process or another, and when the directory
    /// does not exist; [`PermissionDenied`](ErrorKind::PermissionDenied) or [`Backend`](ErrorKind::Backend) when the lock's
    /// file cannot be made or locked.
    pub fn take(spool: &Path) -> Result<Self> {
        Self::try_take(spool)?.ok_or_else(|| in_use(spool, Duration::ZERO))
    }

    /// As [`take`](Self::take), but waits for at most `patience` for whoever has the lock to let go of it, and says so once: a
    /// service that is restarted may start while the process before it still publishes its last events.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take); one that waiting cannot mend comes at once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the lock with whoever has it.
    pub async fn wait(spool: &Path, patience: Duration) -> Result<Self> {
        let started = Instant::now();
        let mut said = false;
        loop {
            if let Some(lock) = Self::try_take(spool)? {
                return Ok(lock);
            }
            let left = patience.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(in_use(spool, patience));
            }
            if !std::mem::replace(&mut said, true) {
                tracing::warn!(spool = %spool.display(), ?patience, "another manager uses the spool; waiting for it to end");
            }
            sleep(left.min(PAUSE)).await;
        }
    }

    /// Takes the lock unless somebody has it.
    fn try_take(spool: &Path) -> Result<Option<Self>> {
        let path = beside(spool);
        let failed = |error: io::Error| {
            let kind = match error.kind() {
                io::ErrorKind::NotFound => ErrorKind::InvalidConfig,
                io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
                _ => ErrorKind::Backend,
            };
            Error::new(kind, "lock spool", format!("`{}` cannot be locked: {error}", path.display()))
                .with_source(error)
        };
        // Never truncated: the content is nobody's, and opening must change nothing for the one who has the lock.
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Drop for SpoolLock {
    fn drop(&mut self) {
        // Closing the file is not enough while a process that was forked at this moment still has it open.
        if let Err(error) = self.file.unlock() {
            tracing::debug!(%error, "the spool's lock was not released before its file was closed");
        }
    }
}

fn in_use(spool: &Path, patience: Duration) -> Error {
    let waited = if patience.is_zero() { String::new() } else { format!(" after {patience:?} still") };
    let message = format!(
        "the spool `{}` is{waited} in use by another manager, in this process or another; each needs a file of its own",
        spool.display()
    );
    Error::new(ErrorKind::InvalidConfig, "lock spool", message)
}

/// The lock's file; one, whatever way leads to the spool.
fn beside(spool: &Path) -> PathBuf {
    let spool = spool.canonicalize().unwrap_or_else(|_| spool.to_owned());
    let mut name = OsString::from(spool);
    name.push(".lock");
    name.into()
}
