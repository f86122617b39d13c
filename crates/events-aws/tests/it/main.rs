//! Tests against emulators of AWS, each a process of these tests' own.

mod bodies;
mod conformance;
mod connecting;
mod dead_letters;
mod emulator;
mod faults;
mod fifo;
mod partial;
mod scripted;
mod setup;
