//! Events on Redis Streams: publisher, consumer and admin.

#![doc = include_str!("../README.md")]

mod address;
mod config;
mod entry_id;
mod keys;
mod membership;

mod client;

mod capabilities;
mod gate;
mod outlet;
mod publisher;
mod seen;

mod janitor;

mod agenda;
mod consumer;
mod inbox;
mod reader;
mod settler;

mod admin;
mod dead_letter;

pub use admin::RedisAdmin;
pub use config::RedisConfig;
pub use consumer::RedisConsumer;
pub use publisher::RedisPublisher;
pub use seen::RedisSeen;
