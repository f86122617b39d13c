//! What `receive` gives, however it is asked.

use std::num::NonZeroUsize;

use events_core::EventConsumer;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_takes_any_number_gets_what_there_is() {
    let server = server();
    publish(&publisher(&server).await, 0..3).await;
    let mut consumer = consumer(&server).await;
    let deliveries = consumer.receive(NonZeroUsize::MAX, DEADLINE).await.unwrap();
    assert!(deliveries.iter().map(number).eq(0..3));
    consumer.close().await.unwrap();
}
