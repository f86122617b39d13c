//! What keeps a second manager away from a spool.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use events_core::{Error, ErrorKind, Result};

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
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "the spool `{}` is in use by another manager, in this process or another; each needs a file of its own",
                    spool.display()
                );
                Err(Error::new(ErrorKind::InvalidConfig, "lock spool", message))
            }
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

/// The lock's file; one, whatever way leads to the spool.
fn beside(spool: &Path) -> PathBuf {
    let spool = spool.canonicalize().unwrap_or_else(|_| spool.to_owned());
    let mut name = OsString::from(spool);
    name.push(".lock");
    name.into()
}
