//! Streams, consumer groups and dead letters in one SQLite file, for several processes at once.

#![doc = include_str!("../README.md")]

mod config;

mod admin;
mod consumer;
mod publisher;
mod seen;

mod claim;
mod dead_letters;
mod due;
mod groups;
mod history;
mod join;
mod publish;
mod retention;
mod settle;
mod shelf;

mod clock;
mod connection;
mod database;
mod error;
mod position;
mod reader;
mod row;
mod schema;
mod stored;
mod wake;
mod writer;

pub use admin::SqliteAdmin;
pub use config::{SqliteConfig, Synchronous};
pub use consumer::SqliteConsumer;
pub use publisher::SqlitePublisher;
pub use seen::SqliteSeen;
