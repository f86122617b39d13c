//! The thread that starts every server process of this test process.
//!
//! `setpriv --pdeathsig` makes the kernel kill a child when the *thread* that started it ends, not its process. A test
//! thread ends with its test, and a runtime's worker threads come and go, so servers are started from one thread that
//! lives as long as the process.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

type Order = (Command, Sender<io::Result<Child>>);

/// Starts `command` so that it dies with this process, where the system can promise that.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, orders) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in orders {
                // Whoever ordered waits for the answer, so this can only fail when that thread was torn down.
                drop(answer.send(command.spawn()));
            }
        });
        sender
    });
    let (sender, answer) = channel();
    orders.send((command, sender)).map_err(|_| io::Error::other("the spawning thread is gone"))?;
    answer.recv().map_err(|_| io::Error::other("the spawning thread is gone"))?
}
