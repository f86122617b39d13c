//! `RespConnection`: as much of the Redis protocol as tests need to ask a server something without a client library.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long one answer may take, so that a frozen server cannot hang a test.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// One answer of a server, RESP2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status such as `OK`.
    Status(String),
    /// An integer.
    Integer(i64),
    /// A string; bytes that are no UTF-8 are replaced.
    Text(String),
    /// No value.
    Nil,
    /// Several answers.
    Array(Vec<Self>),
}

impl Reply {
    /// The text of a status or a string, or nothing.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Status(text) | Self::Text(text) => Some(text),
            Self::Integer(_) | Self::Nil | Self::Array(_) => None,
        }
    }

    /// The integer, or nothing.
    pub fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    /// The parts of an array, or nothing.
    pub fn array(&self) -> Option<&[Self]> {
        if let Self::Array(parts) = self { Some(parts) } else { None }
    }
}

/// A plain connection to a server on the loopback interface.
#[derive(Debug)]
pub struct RespConnection {
    stream: BufReader<TcpStream>,
}

impl RespConnection {
    /// Connects, and authenticates the default user when a password is given.
    ///
    /// # Errors
    /// When nothing listens on the port or the password is refused.
    pub fn connect(port: u16, password: Option<&str>) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("cannot connect to 127.0.0.1:{port}"))?;
        stream.set_read_timeout(Some(ANSWER_DEADLINE)).context("cannot set a read timeout")?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        let mut connection = Self { stream: BufReader::new(stream) };
        if let Some(password) = password {
            connection.command(&["AUTH", password])?;
        }
        Ok(connection)
    }

    /// Sends one command and waits for its answer, at most ten seconds.
    ///
    /// # Errors
    /// The server's error answer, a connection that breaks, or no answer in time.
    pub fn command<S: AsRef<str>>(&mut self, words: &[S]) -> Result<Reply> {
        let mut bytes = format!("*{}\r\n", words.len());
        for word in words.iter().map(AsRef::as_ref) {
            bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.get_mut().write_all(bytes.as_bytes()).context("cannot send the command")?;
        self.read_reply()
    }

    fn read_reply(&mut self) -> Result<Reply> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).context("cannot read the answer")?;
        let Some((kind, rest)) = line.trim_end().split_at_checked(1).filter(|_| read > 0) else {
            bail!("the server closed the connection");
        };
        match kind {
            "+" => Ok(Reply::Status(rest.to_owned())),
            "-" => bail!("the server answers: {rest}"),
            ":" => Ok(Reply::Integer(rest.parse().context("no integer")?)),
            "$" => self.read_text(rest.parse().context("no length")?),
            "*" => self.read_array(rest.parse().context("no length")?),
            _ => bail!("no RESP2 answer: {line:?}"),
        }
    }

    fn read_text(&mut self, length: i64) -> Result<Reply> {
        let Ok(length) = usize::try_from(length) else { return Ok(Reply::Nil) };
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).context("cannot read the answer")?;
        bytes.truncate(length);
        Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn read_array(&mut self, length: i64) -> Result<Reply> {
        if length < 0 {
            return Ok(Reply::Nil);
        }
        (0..length).map(|_| self.read_reply()).collect::<Result<_>>().map(Reply::Array)
    }
}
