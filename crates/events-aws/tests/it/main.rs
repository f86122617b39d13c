//! Tests against emulators of AWS, each a process of these tests' own.

mod conformance;
mod emulator;
