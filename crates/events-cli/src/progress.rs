//! How far long work is: a line on standard error that is drawn anew, where that is a terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that is counted.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Work of known or unknown length; `doing` names it, such as `redriving`.
    pub(crate) fn new(doing: &'static str, length: Option<u64>) -> Self {
        if !io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let (bar, template) = match length {
            Some(length) => {
                (ProgressBar::new(length), "{msg} {bar:30} {human_pos}/{human_len} ({per_sec}, {eta} left)")
            }
            None => (ProgressBar::no_length(), "{msg} {spinner} {human_pos} ({per_sec})"),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(doing);
        // Drawn now, and not some time after the work began.
        bar.tick();
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// So many more are done.
    pub(crate) fn add(&self, done: u64) {
        self.bar.inc(done);
    }

    /// Lines are about to be printed: the bar makes way.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
