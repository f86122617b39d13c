//! The conformance suite.

use crate::harness::RedisHarness;

events_testkit::conformance_suite!(RedisHarness::start());
