//! Configuration in, publisher, consumer or admin out, from the backends that are compiled in.

use std::sync::Arc;

use events_core::{EventAdmin, EventConsumer, EventPublisher, Result};

use crate::{Ensure, EventsConfig, Registry};

/// Makes a publisher; with `enabled: false` one that accepts events and drops them, and says so once.
///
/// # Errors
///
/// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) where the configuration is wrong, or the error of connecting.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn create_event_publisher(config: &EventsConfig) -> Result<Arc<dyn EventPublisher>> {
    Registry::new().create_event_publisher(config).await
}

/// Makes a consumer, a member of the configured group.
///
/// # Errors
///
/// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) where the configuration is wrong, names no group, or has events
/// disabled: a program that consumes should say so and end rather than wait for events that never come.
/// Otherwise the error of connecting.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind but perhaps the group.
pub async fn create_event_consumer(config: &EventsConfig) -> Result<Box<dyn EventConsumer>> {
    Registry::new().create_event_consumer(config).await
}

/// Makes an admin, which looks at the stream without taking part.
///
/// # Errors
///
/// As [`create_event_consumer`], but for the group.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn create_event_admin(config: &EventsConfig) -> Result<Arc<dyn EventAdmin>> {
    Registry::new().create_event_admin(config).await
}

/// Makes what the broker must have before anybody can publish or consume, or only looks at what that would be; returns the
/// steps in words, none when everything is there.
///
/// Queues and topics of AWS are made by nothing else. Other backends make what they need on first use, and have no steps.
///
/// # Errors
///
/// As [`create_event_admin`].
///
/// # Cancel safety
///
/// What was made stays. Ensuring again goes on from there.
pub async fn ensure_event_stream(config: &EventsConfig, how: Ensure) -> Result<Vec<String>> {
    Registry::new().ensure_event_stream(config, how).await
}
