//! What this backend can do.

use events_core::Capabilities;

use crate::RedisConfig;

/// What this backend can do; the same for publishers, consumers and admins.
pub(crate) fn capabilities(config: &RedisConfig) -> Capabilities {
    let mut capabilities = Capabilities::default();
    capabilities.durable = true;
    capabilities.ordered = true;
    capabilities.groups = true;
    capabilities.replay = true;
    capabilities.delayed_nack = true;
    capabilities.extend = true;
    capabilities.uncounted_release = true;
    capabilities.dead_letters = true;
    capabilities.trim = true;
    capabilities.keeps_errors = true;
    capabilities.max_event_bytes = config.max_event_bytes.get();
    capabilities
}
