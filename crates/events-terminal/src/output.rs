//! Where events are printed: standard output or a file, written and flushed before anything is said to be done.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::rotation::RotatingFile;
use crate::{Format, Line, Reopen, Rotation, WriteError};

/// Bytes that are written together. Large enough that a write costs nothing beside its bytes, and a bound on what a batch of
/// large events takes.
const CHUNK: usize = 256 * 1024;

/// Collects lines and writes them in large pieces.
#[derive(Debug)]
pub struct Output {
    buffer: Vec<u8>,
    target: Option<Target>,
    /// The file it goes to, if it goes to one.
    file: Option<PathBuf>,
    is_coloured: bool,
}

#[derive(Debug)]
enum Target {
    Standard,
    File(Box<RotatingFile>),
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl Output {
    /// Standard output. Coloured where that is a terminal or CLICOLOR_FORCE is set, and never where NO_COLOR is.
    pub fn new() -> Self {
        let is_wanted = io::stdout().is_terminal() && anstyle_query::term_supports_ansi_color();
        let is_coloured = !anstyle_query::no_color() && (is_wanted || anstyle_query::clicolor_force());
        Self { buffer: Vec::new(), target: Some(Target::Standard), file: None, is_coloured }
    }

    /// A file that is appended to, in plain text. What is flushed is on the disk.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn file(path: &Path, rotation: Rotation, reopen: Reopen) -> io::Result<Self> {
        let target = Target::File(Box::new(RotatingFile::open(path, rotation, reopen)?));
        Ok(Self { buffer: Vec::new(), target: Some(target), file: Some(path.to_owned()), is_coloured: false })
    }

    /// Appends one event and the end of its line; to be followed as [`buffer`](Self::buffer).
    pub fn print(&mut self, format: Format, line: &Line<'_>) {
        match self.is_coloured {
            true => format.append_coloured(&mut self.buffer, line),
            false => format.append(&mut self.buffer, line),
        }
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
    pub async fn flush_if_full(&mut self) -> Result<(), WriteError> {
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
    /// Dropping the future leaves open what is written, and what is flushed afterwards is refused.
    pub async fn flush(&mut self) -> Result<(), WriteError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let failed = |error| WriteError::new(self.file.as_deref(), error);
        let mut target =
            (self.target.take()).ok_or_else(|| failed(io::Error::other("a write was given up half done")))?;
        let write = move || {
            let written = match &mut target {
                Target::Standard => {
                    let mut stdout = io::stdout().lock();
                    stdout.write_all(&buffer).and_then(|()| stdout.flush())
                }
                Target::File(file) => file.write(&buffer),
            };
            buffer.clear();
            (buffer, target, written)
        };
        let done = tokio::task::spawn_blocking(write).await;
        let (buffer, target, written) = done.map_err(|error| failed(io::Error::other(error)))?;
        let written = written.map_err(failed);
        (self.buffer, self.target) = (buffer, Some(target));
        written
    }

    /// As [`flush`](Self::flush); `false` when nobody reads any more.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush), but for a closed pipe.
    ///
    /// # Cancel safety
    ///
    /// As [`flush`](Self::flush).
    pub async fn flush_to_reader(&mut self) -> Result<bool, WriteError> {
        match self.flush().await {
            Err(error) if error.is_closed_pipe() => Ok(false),
            written => written.map(|()| true),
        }
    }
}
