//! `cargo xtask bench`: one table of how close `events` comes to what each broker itself can do.
//!
//! Every figure is a ratio to a ceiling measured beside it, in turns: ceiling, ours, ceiling, ours. Numbers of different
//! runs or machines cannot be compared.

mod aws;
mod brokers;
mod load;
mod options;
mod peers;
mod redis;
mod sample;
mod sqlite;
mod stats;
mod table;

use anyhow::Result;
use mimalloc::MiMalloc;

use crate::options::{Options, Request};
use crate::table::Table;

/// As `event-log-sink` has it, and for the same reason: an event is a dozen small allocations.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Result<()> {
    let options = match Options::parse(lexopt::Parser::from_env())? {
        Request::Help => return table::say(options::HELP),
        Request::PublishTo(database) => return sqlite::crossing::publish(&database),
        Request::Table(options) => options,
    };
    let mut table = Table::new();
    redis::measure(&options, &mut table)?;
    sqlite::measure(&options, &mut table)?;
    aws::measure(&options, &mut table)?;
    table.print()
}
