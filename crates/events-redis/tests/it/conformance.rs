//! The conformance suite, on the oldest servers that are supported, on the system's own and on the newest.

use test_servers::ServerGeneration;

use crate::harness::RedisHarness;

mod default {
    use super::*;

    events_testkit::conformance_suite!(RedisHarness::start(ServerGeneration::Default));
}

mod redis_6_2 {
    use super::*;

    events_testkit::conformance_suite!(RedisHarness::start(ServerGeneration::Redis6));
}

mod redis_8 {
    use super::*;

    events_testkit::conformance_suite!(RedisHarness::start(ServerGeneration::Redis8));
}

mod valkey {
    use super::*;

    events_testkit::conformance_suite!(RedisHarness::start(ServerGeneration::Valkey));
}
