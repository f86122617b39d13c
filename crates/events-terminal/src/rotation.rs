//! A file that is written to for long: old parts are put aside by size and by time, and another one is begun when asked.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use events_core::wire;
use time::OffsetDateTime;

/// When a file is put aside and another one begun. What is put aside is never deleted: that is for whoever keeps it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rotation {
    /// Before the file would grow over so many bytes. Default: never.
    pub size: Option<u64>,
    /// When it is so old, counted from when this program opened it. Default: never.
    pub every: Option<Duration>,
}

/// Asks for the file to be opened anew, as after somebody moved it away.
#[derive(Clone, Debug, Default)]
pub struct Reopen {
    asked: Arc<AtomicBool>,
}

impl Reopen {
    /// Asked by every SIGHUP from now on, as log rotation sends it. Has to be called inside a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    #[cfg(unix)]
    pub fn on_hangup() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (reopen, mut hangups) = (Self::default(), signal(SignalKind::hangup())?);
        let asked = reopen.clone();
        tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                asked.ask();
            }
        });
        Ok(reopen)
    }

    /// Never asked where there is no SIGHUP.
    ///
    /// # Errors
    ///
    /// None.
    #[cfg(not(unix))]
    pub fn on_hangup() -> io::Result<Self> {
        Ok(Self::default())
    }

    /// Opens the file of the same name before the next line is written.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed)
    }
}

/// A file of whole lines.
#[derive(Debug)]
pub(crate) struct RotatingFile {
    path: PathBuf,
    rotation: Rotation,
    reopen: Reopen,
    file: File,
    length: u64,
    opened: Instant,
}

impl RotatingFile {
    /// Opens a file to append to it; it is made where there is none.
    pub(crate) fn open(path: &Path, rotation: Rotation, reopen: Reopen) -> io::Result<Self> {
        let (file, length) = open(path)?;
        Ok(Self { path: path.to_owned(), rotation, reopen, file, length, opened: Instant::now() })
    }

    /// Appends whole lines, and returns when the disk has them. Of lines that could not be written none stays.
    pub(crate) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.reopen.take() {
            self.begin_anew()?;
        }
        let is_full = |limit| self.length > 0 && self.length + lines.len() as u64 > limit;
        if self.rotation.size.is_some_and(is_full)
            || self.rotation.every.is_some_and(|every| self.opened.elapsed() >= every)
        {
            self.put_aside()?;
        }
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.length += lines.len() as u64,
            // Half a line would spoil the next one. Where not even this works, opening the file mends it.
            Err(_) => drop(self.file.set_len(self.length)),
        }
        written
    }

    /// Renames the file by the time, if it holds anything, and begins another one.
    fn put_aside(&mut self) -> io::Result<()> {
        if self.length > 0 {
            let mut stamp = Vec::new();
            wire::append_timestamp(&mut stamp, OffsetDateTime::now_utc());
            let stamp = String::from_utf8_lossy(&stamp).replace(':', "");
            std::fs::rename(&self.path, free_name(&self.path, &stamp))?;
        }
        self.begin_anew()
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        (self.file, self.length) = open(&self.path)?;
        self.opened = Instant::now();
        Ok(())
    }
}

/// A name for what is put aside at this time. Nothing that was put aside before is overwritten.
fn free_name(path: &Path, stamp: &str) -> PathBuf {
    let named = |number: usize| {
        let mut name = path.to_owned().into_os_string();
        name.push(format!(".{stamp}"));
        if number > 0 {
            name.push(format!(".{number}"));
        }
        PathBuf::from(name)
    };
    (0..).map(named).find(|name| !name.exists()).unwrap_or_else(|| named(0))
}

/// Opens a file at its end, where a line begins.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    let mut length = file.metadata()?.len();
    if length > 0 {
        // A program that died in the middle of a write has left half a line.
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            length += 1;
        }
    }
    Ok((file, length))
}

/// Reads a size such as `100MB`, `64KiB` or a number of bytes.
///
/// # Errors
///
/// What a size looks like.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match &text[digits..] {
        "" | "B" => Some(1),
        "KB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let size = || text[..digits].parse::<u64>().ok()?.checked_mul(factor?);
    size()
        .filter(|size| *size > 0)
        .ok_or_else(|| format!("expected a size such as 100MB or 64KiB, found {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(directory: &Path) -> Vec<(String, String)> {
        let mut found: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        found.sort();
        found
    }

    fn texts(directory: &Path) -> Vec<String> {
        contents(directory).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn a_file_is_put_aside_before_it_grows_too_large() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let rotation = Rotation { size: Some(10), every: None };
        let mut file = RotatingFile::open(&path, rotation, Reopen::default()).unwrap();
        for line in ["12345678\n", "a line that is longer than the limit\n", "a\n", "b\n"] {
            file.write(line.as_bytes()).unwrap();
        }
        let found = contents(directory.path());
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], ("out".to_owned(), "a\nb\n".to_owned()));
        assert_eq!((found[1].1.as_str(), found[2].1.len()), ("12345678\n", 37), "{found:?}");
    }

    #[test]
    fn a_file_is_put_aside_when_it_is_old() {
        let directory = tempfile::tempdir().unwrap();
        let rotation = Rotation { size: None, every: Some(Duration::ZERO) };
        let mut file =
            RotatingFile::open(&directory.path().join("out"), rotation, Reopen::default()).unwrap();
        file.write(b"a\n").unwrap();
        file.write(b"b\n").unwrap();
        assert_eq!(texts(directory.path()), ["b\n", "a\n"]);
    }

    #[test]
    fn a_file_that_was_moved_away_is_left_alone_once_asked() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("out"), directory.path().join("moved"));
        let reopen = Reopen::default();
        let mut file = RotatingFile::open(&path, Rotation::default(), reopen.clone()).unwrap();
        file.write(b"a\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        file.write(b"b\n").unwrap();
        reopen.ask();
        file.write(b"c\n").unwrap();
        assert_eq!(texts(directory.path()), ["a\nb\n", "c\n"]);
    }

    #[test]
    fn nothing_that_was_put_aside_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        for wanted in ["out.now", "out.now.1", "out.now.2"] {
            let name = free_name(&path, "now");
            assert_eq!(name, directory.path().join(wanted));
            std::fs::write(name, "").unwrap();
        }
    }

    #[test]
    fn half_a_line_of_a_program_that_died_spoils_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        std::fs::write(&path, "whole\nhal").unwrap();
        RotatingFile::open(&path, Rotation::default(), Reopen::default()).unwrap().write(b"next\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole\nhal\nnext\n");
    }

    #[test]
    fn a_size_has_a_unit_or_is_in_bytes() {
        for (text, size) in [("7", 7), ("100MB", 100_000_000), ("64KiB", 65_536), ("1GiB", 1 << 30)] {
            assert_eq!(parse_size(text), Ok(size));
        }
        for bad in ["", "MB", "0", "1TB", "-1", "1.5MB", "99999999999999999999", "18446744073709551615GB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
