//! The ceilings: one blocking socket without a client library, which does the least that a client can do.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::sample::{self, BATCH};

/// How many entries one read asks for, as our consumers do.
pub(super) const READ: usize = 512;

/// The room for answers; a read of [`READ`] entries fits in with ease.
const BUFFER: usize = 1024 * 1024;

/// One blocking socket and what came from it.
pub(super) struct Raw {
    socket: TcpStream,
    buffer: Vec<u8>,
    /// What of the buffer is not read yet.
    waiting: Range<usize>,
}

impl Raw {
    pub(super) fn connect(port: u16) -> Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { socket, buffer: vec![0; BUFFER], waiting: 0..0 })
    }

    /// Writes prebuilt `XADD` commands, [`BATCH`] in one write, and keeps two writes on their way.
    pub(super) fn publish(&mut self, key: &str, count: usize) -> Result<Duration> {
        let add = |body: &Vec<u8>| command(&[b"XADD", key.as_bytes(), b"*", b"event", body]);
        let batch: Vec<u8> = sample::bodies()?.iter().flat_map(add).collect();
        let started = Instant::now();
        self.socket.write_all(&batch)?;
        for _ in 1..count / BATCH {
            self.socket.write_all(&batch)?;
            self.pass_ids(BATCH)?;
        }
        self.pass_ids(BATCH)?;
        Ok(started.elapsed())
    }

    /// The same events in scripts of [`BATCH`], each awaited before the next: the most that any client could do for a caller
    /// that awaits each batch, if it sends scripts.
    pub(super) fn publish_in_scripts(&mut self, key: &str, count: usize) -> Result<Duration> {
        const SCRIPT: &[u8] =
            b"for i = 1, #ARGV do redis.call('XADD', KEYS[1], '*', 'event', ARGV[i]) end return #ARGV";
        let bodies = sample::bodies()?;
        let mut words: Vec<&[u8]> = vec![b"EVAL", SCRIPT, b"1", key.as_bytes()];
        words.extend(bodies.iter().map(Vec::as_slice));
        let script = command(&words);
        let started = Instant::now();
        for _ in 0..count / BATCH {
            self.socket.write_all(&script)?;
            self.number(b':')?;
        }
        Ok(started.elapsed())
    }

    /// Makes a stream of `count` events and checks that it has them.
    pub(crate) fn fill(&mut self, key: &str, count: usize) -> Result<()> {
        self.delete(key)?;
        self.publish(key, count.next_multiple_of(BATCH))?;
        ensure!(self.length(key)? >= count, "the server lacks events");
        Ok(())
    }

    /// Reads `count` entries in batches, picks out their ids, and acknowledges each batch together with the next read.
    pub(super) fn consume(&mut self, key: &str, group: &str, count: usize) -> Result<Duration> {
        self.ask(&[b"XGROUP", b"CREATE", key.as_bytes(), group.as_bytes(), b"0"])?;
        let most = READ.to_string();
        let read = command(&[
            b"XREADGROUP",
            b"GROUP",
            group.as_bytes(),
            b"raw",
            b"COUNT",
            most.as_bytes(),
            b"STREAMS",
            key.as_bytes(),
            b">",
        ]);
        let acknowledge = [bulk(b"XACK"), bulk(key.as_bytes()), bulk(group.as_bytes())].concat();
        let (mut request, mut ids, mut acknowledged) = (read.clone(), Vec::new(), 0);
        let started = Instant::now();
        loop {
            self.socket.write_all(&request)?;
            if acknowledged > 0 {
                self.number(b':')?;
            }
            if acknowledged >= count {
                return Ok(started.elapsed());
            }
            ids.clear();
            let entries = self.entries(&mut ids)?;
            ensure!(entries > 0, "the stream ended after {acknowledged} of {count} entries");
            request.clear();
            request.extend_from_slice(format!("*{}\r\n", 3 + entries).as_bytes());
            request.extend_from_slice(&acknowledge);
            request.extend_from_slice(&ids);
            acknowledged += entries;
            if acknowledged < count {
                request.extend_from_slice(&read);
            }
        }
    }

    /// One `XADD` and its answer: the bare round trip.
    pub(super) fn round_trip(&mut self, add: &[u8]) -> Result<Duration> {
        let started = Instant::now();
        self.socket.write_all(add)?;
        self.pass_ids(1)?;
        Ok(started.elapsed())
    }

    pub(super) fn length(&mut self, key: &str) -> Result<usize> {
        self.send(&[b"XLEN", key.as_bytes()])?;
        self.number(b':')
    }

    pub(super) fn delete(&mut self, key: &str) -> Result<()> {
        self.ask(&[b"DEL", key.as_bytes()])
    }

    pub(super) fn destroy_group(&mut self, key: &str, group: &str) -> Result<()> {
        self.ask(&[b"XGROUP", b"DESTROY", key.as_bytes(), group.as_bytes()])
    }

    /// A command that is answered by one line.
    fn ask(&mut self, words: &[&[u8]]) -> Result<()> {
        self.send(words)?;
        self.line().map(drop)
    }

    fn send(&mut self, words: &[&[u8]]) -> Result<()> {
        Ok(self.socket.write_all(&command(words))?)
    }

    /// Passes over the answers to `XADD`, which are two lines each.
    fn pass_ids(&mut self, count: usize) -> Result<()> {
        let mut lines = 2 * count;
        while lines > 0 {
            if self.waiting.is_empty() {
                self.more()?;
            }
            let seen = &self.buffer[self.waiting.clone()];
            ensure!(seen[0] != b'-', "the server answers {:?}", String::from_utf8_lossy(seen));
            let ends = seen.iter().filter(|byte| **byte == b'\n').count();
            if ends <= lines {
                lines -= ends;
                self.waiting = 0..0;
            } else {
                // The rest answers the next write.
                let mut ends = seen.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
                let (last, _) = ends.nth(lines - 1).context("counted before")?;
                self.waiting.start += last + 1;
                lines = 0;
            }
        }
        Ok(())
    }

    /// The answer to a read: appends each id as it came, a string of the protocol, and returns how many there are.
    fn entries(&mut self, ids: &mut Vec<u8>) -> Result<usize> {
        if self.number(b'*').unwrap_or_default() == 0 {
            return Ok(0);
        }
        self.number(b'*')?;
        self.string()?;
        let entries = self.number(b'*')?;
        for _ in 0..entries {
            self.number(b'*')?;
            let id = self.string()?;
            ids.extend_from_slice(format!("${}\r\n", id.len()).as_bytes());
            ids.extend_from_slice(&self.buffer[id.start..id.end + 2]);
            for _ in 0..self.number(b'*')? {
                self.string()?;
            }
        }
        Ok(entries)
    }

    /// A number after its sign.
    fn number(&mut self, sign: u8) -> Result<usize> {
        let line = self.line()?;
        let text = &self.buffer[line];
        match text.split_first() {
            Some((first, digits)) if *first == sign => {
                Ok(digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit.wrapping_sub(b'0'))))
            }
            _ => bail!("the server answers {:?}", String::from_utf8_lossy(text)),
        }
    }

    /// Where a string is.
    fn string(&mut self) -> Result<Range<usize>> {
        let length = self.number(b'$')?;
        while self.waiting.len() < length + 2 {
            self.more()?;
        }
        let start = self.waiting.start;
        self.waiting.start += length + 2;
        Ok(start..start + length)
    }

    /// Where a line is, without its end.
    fn line(&mut self) -> Result<Range<usize>> {
        let mut seen = 0;
        loop {
            let waiting = &self.buffer[self.waiting.clone()];
            if let Some(end) = waiting[seen..].iter().position(|byte| *byte == b'\n') {
                let start = self.waiting.start;
                self.waiting.start += seen + end + 1;
                return Ok(start..start + seen + end - 1);
            }
            seen = waiting.len();
            self.more()?;
        }
    }

    /// Reads what there is. What waits moves to the front where there is no room behind it.
    fn more(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            self.waiting = 0..0;
        } else if self.waiting.end == self.buffer.len() {
            self.buffer.copy_within(self.waiting.clone(), 0);
            self.waiting = 0..self.waiting.len();
        }
        let read = self.socket.read(&mut self.buffer[self.waiting.end..])?;
        ensure!(read > 0, "the server closed the connection");
        self.waiting.end += read;
        Ok(())
    }
}

/// A command as it goes over the wire.
pub(super) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    bytes.extend(words.iter().flat_map(|word| bulk(word)));
    bytes
}

fn bulk(word: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", word.len()).as_bytes(), word, b"\r\n"].concat()
}
