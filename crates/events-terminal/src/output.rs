//! Standard output, written and flushed before anything is said to be done.

use std::io::{self, Write};

/// Bytes that are written together. Large enough that a write costs nothing beside its bytes, and a bound on what a batch of
/// large events takes.
const CHUNK: usize = 256 * 1024;

/// Collects lines and writes them to standard output in large pieces.
#[derive(Debug, Default)]
pub struct Output {
    buffer: Vec<u8>,
}

impl Output {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where to append lines; to be followed by [`flush_if_full`](Self::flush_if_full) or [`flush`](Self::flush).
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes what is collected if it is a lot.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// As [`flush`](Self::flush).
    pub async fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() < CHUNK { Ok(()) } else { self.flush().await }
    }

    /// Writes what is collected, to the end. The reader of a pipe may take its time: the caller's other tasks go on meanwhile.
    ///
    /// # Errors
    ///
    /// When not all of it could be written; what is collected is forgotten all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open what is written.
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let write = move || {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(&buffer).and_then(|()| stdout.flush());
            buffer.clear();
            (buffer, written)
        };
        let (buffer, written) = tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?;
        self.buffer = buffer;
        written
    }
}
