//! Tests against emulators of AWS, each a process of these tests' own.

mod bodies;
mod conformance;
mod connecting;
mod dead_letters;
mod emulator;
mod faults;
mod fifo;
mod holding;
mod outages;
mod partial;
mod query;
mod scripted;
mod setup;
