//! `Phases`: the steps of a long task, announced when they begin and timed when they end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Runs steps one after another; the first that fails ends the task.
#[derive(Debug)]
pub(crate) struct Phases {
    begun: Instant,
    done: Vec<(&'static str, Duration)>,
}

impl Phases {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), done: Vec::new() }
    }

    /// Runs one step. Its name is in the error when it fails.
    pub(crate) fn run<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n── {name} (at {})", seconds(self.begun.elapsed()));
        let begun = Instant::now();
        let result = step().with_context(|| format!("{name} failed"));
        self.done.push((name, begun.elapsed()));
        if result.is_err() {
            self.print_summary();
        }
        result
    }

    /// One line per step, and the total.
    pub(crate) fn print_summary(&self) {
        println!("\n── elapsed");
        for (name, time) in &self.done {
            println!("{:>8}  {name}", seconds(*time));
        }
        println!("{:>8}  in all", seconds(self.begun.elapsed()));
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
