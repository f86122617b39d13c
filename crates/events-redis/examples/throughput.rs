//! How fast this backend publishes and consumes, beside what the server itself can do.
//!
//! `cargo run --release -p events-redis --example throughput -- [redis URL] [events]`; the stream it uses is deleted.
//! Numbers of different runs or machines cannot be compared, only the shares of the ceilings measured in the same run.

use std::env;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use events_core::{ConsumerOptions, Error, ErrorKind, Event, EventConsumer, EventPublisher, Result, ack_all};
use events_redis::{RedisConfig, RedisConsumer, RedisPublisher};

const BATCH: usize = 256;
const READ: NonZeroUsize = NonZeroUsize::new(512).expect("not zero");

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(200_000);
    let stream = format!("events-throughput-{}", std::process::id());
    let config = RedisConfig::new(url.clone());
    let body = "x".repeat(120);
    let events: Vec<Event> = (0..BATCH)
        .map(|n| Event::new("bench.event", "throughput", serde_json::json!({ "n": n, "filler": body })))
        .collect::<Result<_>>()?;

    let mut raw = Raw::connect(&url)?;
    let ceiling = rate(count, raw.publish(&stream, count)?);
    report("publish, one raw socket         ", ceiling, ceiling);
    raw.delete(&stream)?;

    let publisher = RedisPublisher::connect(&config, &stream).await?;
    let started = Instant::now();
    for _ in 0..count / BATCH {
        publisher.publish_batch(&events).await?.into_ids()?;
    }
    report("publish_batch(256), one by one  ", rate(count, started.elapsed()), ceiling);
    let large: Vec<Event> = events.iter().cycle().take(BATCH * 16).cloned().collect();
    let started = Instant::now();
    for _ in 0..count / large.len() {
        publisher.publish_batch(&large).await?.into_ids()?;
    }
    report(
        "publish_batch(4096)             ",
        rate(count / large.len() * large.len(), started.elapsed()),
        ceiling,
    );
    publisher.close().await?;

    let waiting = count / BATCH * BATCH + count / large.len() * large.len();
    let ceiling = rate(waiting, raw.consume(&stream)?);
    report("consume, one raw socket         ", ceiling, ceiling);
    let mut consumer = RedisConsumer::connect(&config, &stream, ConsumerOptions::new("bench")).await?;
    let (mut received, started) = (0, Instant::now());
    while received < waiting {
        let deliveries = consumer.receive(READ, Duration::from_secs(5)).await?;
        received += deliveries.len();
        ack_all(deliveries).await.into_result()?;
    }
    report("receive(512), then ack_all      ", rate(received, started.elapsed()), ceiling);
    consumer.close().await?;
    raw.delete(&stream)
}

fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

#[expect(clippy::print_stdout, reason = "the numbers are what the program is for")]
fn report(what: &str, rate: f64, ceiling: f64) {
    println!("{what} {rate:>9.0}/s  {:.2}", rate / ceiling);
}

/// One socket without a client library, two batches on their way: what the server can do.
struct Raw {
    socket: BufReader<TcpStream>,
}

impl Raw {
    fn connect(url: &str) -> Result<Self> {
        let address = url.trim_start_matches("redis://").trim_end_matches('/');
        let socket = TcpStream::connect(address).map_err(io)?;
        socket.set_nodelay(true).map_err(io)?;
        Ok(Self { socket: BufReader::with_capacity(1 << 20, socket) })
    }

    fn publish(&mut self, stream: &str, count: usize) -> Result<Duration> {
        let body = "x".repeat(288);
        let one = command(&["XADD", stream, "*", "event", &body]);
        let batch = one.repeat(BATCH);
        let started = Instant::now();
        self.send(&batch)?;
        for _ in 1..count / BATCH {
            self.send(&batch)?;
            self.replies(BATCH)?;
        }
        self.replies(BATCH)?;
        Ok(started.elapsed())
    }

    /// Reads everything in batches and acknowledges each together with the next read.
    fn consume(&mut self, stream: &str) -> Result<Duration> {
        self.send(&command(&["XGROUP", "CREATE", stream, "raw", "0"]))?;
        self.reply()?;
        let read = command(&["XREADGROUP", "GROUP", "raw", "me", "COUNT", "512", "STREAMS", stream, ">"]);
        let started = Instant::now();
        self.send(&read)?;
        loop {
            let reply = self.reply()?;
            // Of strings, an entry has its id, the name and the body; the first is the stream's name.
            let ids: Vec<&str> = reply.iter().skip(1).step_by(3).map(String::as_str).collect();
            if ids.is_empty() {
                return Ok(started.elapsed());
            }
            let mut next = command(&[&["XACK", stream, "raw"], ids.as_slice()].concat());
            next.extend_from_slice(&read);
            self.send(&next)?;
            self.reply()?;
        }
    }

    fn delete(&mut self, stream: &str) -> Result<()> {
        self.send(&command(&["DEL", stream]))?;
        self.reply().map(drop)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.get_mut().write_all(bytes).map_err(io)
    }

    fn replies(&mut self, count: usize) -> Result<()> {
        (0..count).try_for_each(|_| self.reply().map(drop))
    }

    /// The strings of one reply, however they are nested.
    fn reply(&mut self) -> Result<Vec<String>> {
        let (mut strings, mut left) = (Vec::new(), 1);
        while left > 0 {
            left -= 1;
            let line = self.line()?;
            let number = || line[1..].parse::<i64>().unwrap_or(-1);
            match line.as_bytes().first() {
                Some(b'*') => left += number().max(0),
                Some(b'$') if number() >= 0 => {
                    let mut bytes = vec![0; number() as usize + 2];
                    self.socket.read_exact(&mut bytes).map_err(io)?;
                    bytes.truncate(bytes.len() - 2);
                    strings.push(String::from_utf8_lossy(&bytes).into_owned());
                }
                Some(b'-') => return Err(Error::new(ErrorKind::Backend, "raw socket", line)),
                _ => {}
            }
        }
        Ok(strings)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut self.socket, &mut line).map_err(io)?;
        Ok(line.trim_end().to_owned())
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

fn io(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "raw socket", "the server cannot be reached").with_source(error)
}
