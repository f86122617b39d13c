//! Publishing allocates nothing. A program of its own, since counting replaces the allocator.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use events_core::Event;
use events_memory::MemoryBroker;
use events_runtime::{EventManager, HeaderScope, ManagerConfig, Overflow};

const EVENTS: usize = 10_000;
const DEADLINE: Duration = Duration::from_secs(60);

fn events() -> Vec<Event> {
    let payload = |n| serde_json::json!({ "n": n, "users": ["alice", "bob"] });
    (0..EVENTS).map(|n| Event::new("test.counted", "s", payload(n)).unwrap()).collect()
}

/// How often this thread allocates while it publishes; the counter knows nothing of the manager's own thread.
fn allocations(manager: &EventManager) -> u64 {
    let events = events();
    allocation_counter::measure(|| events.into_iter().for_each(|event| manager.publish(event))).count_total
}

#[test]
fn publishing_allocates_nothing() {
    assert_eq!(allocation_counter::measure(|| drop(Box::new([0_u8; 64]))).count_total, 1, "it does count");
    for overflow in [Overflow::DropNew, Overflow::DropOldest] {
        let broker = MemoryBroker::default();
        let mut config = ManagerConfig::default();
        config.overflow = overflow;
        config.queue = NonZeroUsize::new(2 * EVENTS).unwrap();
        let manager = EventManager::new(Arc::new(broker.publisher("s")), config).unwrap();
        // The first time, what a thread sets aside once may still be missing.
        allocations(&manager);
        manager.flush_blocking(DEADLINE);
        assert_eq!(
            allocations(&manager),
            0,
            "{overflow:?}, a thread that wakes the taker and one that finds it busy"
        );
        manager.flush_blocking(DEADLINE);
        let scope = HeaderScope::new().with("x-request-id", "4f2a");
        assert_eq!(scope.run_sync(|| allocations(&manager)), 0, "{overflow:?}, in a scope of headers");
        let stats = manager.close_blocking(DEADLINE);
        assert_eq!((stats.published, stats.dropped_total()), (3 * EVENTS as u64, 0), "{stats:?}");
    }
}
