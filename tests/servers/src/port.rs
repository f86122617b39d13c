//! `Port`: a TCP port of the loopback interface that no other test run on this machine will take.

use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

/// Ports lie below the range the kernel gives to outgoing connections (32768 and up on Linux). A client that keeps
/// reconnecting to a server that is down could otherwise be given the server's own port, connect to itself, and keep
/// the server from coming back.
const FIRST: u32 = 15_000;
const LAST: u32 = 32_000;

/// Spreads the threads of one process over the range.
static DRAWN: AtomicU32 = AtomicU32::new(0);

/// A reserved port: held through a lock file for as long as the value lives, also while nothing listens on it, so that
/// a server can be restarted on it. The lock goes with the process, however that ends.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Kept open for its lock.
    _reservation: File,
}

impl Port {
    /// Reserves a port on which nothing listens now.
    ///
    /// A program that knows nothing of the lock files may still take it, so whoever starts a server on it checks that
    /// the server got it.
    ///
    /// # Errors
    /// When the lock files cannot be written, or every port of the range is taken.
    pub fn reserve() -> Result<Self> {
        let directory = lock_directory()?;
        let span = LAST - FIRST;
        let start = first_guess();
        for step in 0..span {
            let candidate = FIRST + (start.wrapping_add(step)) % span;
            let number = u16::try_from(candidate).context("a port number has 16 bits")?;
            if let Some(port) = Self::try_reserve(&directory, number)? {
                return Ok(port);
            }
        }
        bail!("no free port between {FIRST} and {LAST}");
    }

    fn try_reserve(directory: &std::path::Path, number: u16) -> Result<Option<Self>> {
        let path = directory.join(format!("{number}.lock"));
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock a port's file"),
        }
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok();
        Ok(free.then_some(Self { number, _reservation: file }))
    }

    /// The number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// One directory per user: another user's files could not be opened.
fn lock_directory() -> Result<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let directory = std::env::temp_dir().join(format!("events-test-ports-{user}"));
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    Ok(directory)
}

/// Different processes begin at different places; correctness comes from the locks.
fn first_guess() -> u32 {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let drawn = DRAWN.fetch_add(1, Ordering::Relaxed);
    nanoseconds.wrapping_add(std::process::id().wrapping_mul(7919)).wrapping_add(drawn.wrapping_mul(104_729))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_gives_one_port_twice() {
        let ports: Vec<Port> = (0..200).map(|_| Port::reserve().unwrap()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 200);
    }

    #[test]
    fn passes_over_a_port_somebody_listens_on() {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let number = listener.local_addr().unwrap().port();
        assert!(Port::try_reserve(directory.path(), number).unwrap().is_none());
        drop(listener);
        assert!(Port::try_reserve(directory.path(), number).unwrap().is_some());
    }

    #[test]
    fn stays_reserved_while_nothing_listens_and_is_free_again_after_drop() {
        let directory = tempfile::tempdir().unwrap();
        let number = Port::reserve().unwrap().number();
        let held = Port::try_reserve(directory.path(), number).unwrap();
        assert!(held.is_some());
        assert!(Port::try_reserve(directory.path(), number).unwrap().is_none());
        drop(held);
        assert!(Port::try_reserve(directory.path(), number).unwrap().is_some());
    }
}
