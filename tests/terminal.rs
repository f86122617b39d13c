//! A program at a terminal: what is drawn there, and what somebody types.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long anything may take before a test gives up on it.
const DEADLINE: Duration = Duration::from_secs(60);

/// Ctrl-C, as a keyboard sends it.
pub const CTRL_C: &str = "\u{3}";

/// A program whose standard input, output and error are one terminal of its own, which `script` makes.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Arc<Mutex<String>>,
    /// Ends when nobody draws any more.
    reader: JoinHandle<()>,
}

impl Terminal {
    /// Starts a program at a terminal.
    ///
    /// # Errors
    /// When it cannot be started, or a word of it would need quotes.
    pub fn start(program: &Command) -> Result<Self> {
        let mut line = Vec::new();
        for word in [program.get_program()].into_iter().chain(program.get_args()) {
            let word = word.to_str().context("a word that is no text")?;
            if word.contains(['\'', '\\']) {
                bail!("{word} needs quotes");
            }
            line.push(format!("'{word}'"));
        }
        let mut script = Command::new("script");
        script.args([
            "--quiet",
            "--return",
            "--flush",
            "--command",
            &format!("exec {}", line.join(" ")),
            "/dev/null",
        ]);
        script.env_clear().env("TERM", "xterm").env("SHELL", "/bin/sh");
        script.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = script.spawn().context("cannot start `script`, which is part of util-linux")?;
        let keyboard = child.stdin.take().context("no keyboard")?;
        let mut output = child.stdout.take().context("no screen")?;
        let screen = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&screen);
        let reader = thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut some) {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push_str(&String::from_utf8_lossy(&some[..count]));
            }
        });
        Ok(Self { child, keyboard, screen, reader })
    }

    /// Everything the program has drawn so far, with the characters that steer the terminal.
    pub fn screen(&self) -> String {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a text was drawn.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn wait_for(&mut self, text: &str) -> Result<()> {
        let end = Instant::now() + DEADLINE;
        while !self.screen().contains(text) {
            if Instant::now() > end {
                bail!("no {text:?} in {:?}", self.screen());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Types.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.keyboard.write_all(keys.as_bytes()).and_then(|()| self.keyboard.flush()).context("cannot type")
    }

    /// Waits for the end: the exit code, and everything that was drawn.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn finish(mut self) -> Result<(Option<i32>, String)> {
        let end = Instant::now() + DEADLINE;
        loop {
            // What was drawn last is read a moment after the end.
            if let Some(status) = self.child.try_wait()?
                && self.reader.is_finished()
            {
                return Ok((status.code(), self.screen()));
            }
            if Instant::now() > end {
                bail!("it does not end: {:?}", self.screen());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // There is nobody to tell: the process is gone already, or the system refuses.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
