//! Being asked to end: the first signal asks, the second one insists.

use std::io;

use tokio::sync::watch;

/// Tells a program that it was asked to end. Every clone is told.
#[derive(Clone, Debug)]
pub struct Shutdown {
    asked: watch::Receiver<bool>,
}

/// A signal that asks to end, by the exit code of a program it ended.
#[derive(Clone, Copy, Debug)]
enum Signal {
    Interrupt = 130,
    Terminate = 143,
}

impl Shutdown {
    /// Listens for SIGTERM and Ctrl-C from now on. The second of them ends the process at once, with 143 or 130.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        let mut signals = Signals::new()?;
        let (ask, asked) = watch::channel(false);
        tokio::spawn(async move {
            signals.next().await;
            tracing::info!("asked to end: finishing what is in hand; a second signal ends at once");
            ask.send_replace(true);
            let insisting = signals.next().await;
            std::process::exit(insisting as i32);
        });
        Ok(Self { asked })
    }

    /// Whether the program was asked to end.
    pub fn is_requested(&self) -> bool {
        *self.asked.borrow()
    }

    /// Waits until the program is asked to end; returns at once when it was.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn requested(&mut self) {
        if self.asked.wait_for(|asked| *asked).await.is_err() {
            // The listener never ends before the process does; were it gone, nobody could ask any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}
