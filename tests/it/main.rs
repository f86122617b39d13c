//! The system as its users meet it: two binaries, real brokers, real signals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

mod asyncapi;
mod broker;
mod commands;
mod dead_letters;
mod docs;
mod encodings;
mod ensure;
mod faststream;
mod faults;
mod history;
mod interrupted;
mod main_job;
mod operating;
mod output;
mod python;
mod queues;
mod readme;
mod terminal;
mod tls;
mod verbs;
