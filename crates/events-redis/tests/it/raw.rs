//! Commands of any bytes, for what a foreign producer might write.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};

/// Sends one command and returns the bulk string it is answered with.
pub(crate) fn command(port: u16, words: &[Vec<u8>]) -> String {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server listens");
    stream.write_all(&bytes).expect("the command is sent");
    let mut lines = BufReader::new(stream).lines();
    let mut line = || lines.next().expect("an answer").expect("a readable answer");
    let kind = line();
    assert!(kind.starts_with('$'), "the server answers {kind}");
    line()
}
