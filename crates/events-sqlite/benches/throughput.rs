//! Throughput against bare rusqlite.

fn main() {}
