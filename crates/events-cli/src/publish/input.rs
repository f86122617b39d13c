//! Standard input, line by line, read by a thread of its own.

use std::io::{self, BufRead};
use std::thread;

use tokio::sync::mpsc;

/// Lines that are read ahead.
const AHEAD: usize = 4 * super::BATCH;

/// A line's number, from 1, and its bytes without the line end.
pub(super) type Numbered = (u64, io::Result<Vec<u8>>);

/// Lines as they come.
#[derive(Debug)]
pub(super) struct Input {
    lines: mpsc::Receiver<Numbered>,
}

impl Input {
    /// The lines of standard input.
    pub(super) fn standard() -> Self {
        Self::of(|| io::stdin().lock())
    }

    /// A thread rather than a task: a read from a terminal can neither be waited for nor be cancelled, and one that never ends
    /// must not keep the program from ending.
    fn of<R: BufRead>(open: impl FnOnce() -> R + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel(AHEAD);
        thread::spawn(move || {
            let mut input = open();
            for number in 1.. {
                let mut line = Vec::new();
                let read = match input.read_until(b'\n', &mut line) {
                    Ok(0) => return,
                    Ok(_) => Ok(line),
                    Err(error) => Err(error),
                };
                let failed = read.is_err();
                if sender.blocking_send((number, read)).is_err() || failed {
                    return;
                }
            }
        });
        Self { lines }
    }

    /// Waits for a line and returns what has come, at most `max` lines; empty at the end of the input.
    pub(super) async fn next(&mut self, max: usize) -> Vec<Numbered> {
        let mut lines = Vec::new();
        self.lines.recv_many(&mut lines, max).await;
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[tokio::test]
    async fn lines_come_numbered_and_in_order() {
        let mut input = Input::of(|| Cursor::new("a\n\nb\nc"));
        let mut all = Vec::new();
        loop {
            let lines = input.next(2).await;
            if lines.is_empty() {
                break;
            }
            assert!(lines.len() <= 2);
            all.extend(lines.into_iter().map(|(number, line)| (number, line.unwrap())));
        }
        let wanted = [(1, "a\n"), (2, "\n"), (3, "b\n"), (4, "c")];
        assert_eq!(all, wanted.map(|(number, line)| (number, line.as_bytes().to_vec())));
    }
}
