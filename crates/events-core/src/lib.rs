//! The event model, the traits and the wire codec: what every backend, runtime and binary agrees on.

#![doc = include_str!("../README.md")]

mod attributes;
mod builder;
mod event;
mod event_type;
mod headers;
mod payload;
mod timestamp;
pub mod wire;

mod ack_all;
mod admin;
mod consumer;
mod dead_letter;
mod delivery;
mod extend_all;
mod message_id;
mod observer;
mod options;
mod publisher;
mod report;
mod retention;
mod seen;
mod settler;
mod state;

mod capabilities;
pub mod duration;
mod error;
mod secret;

pub use ack_all::{AckReport, ack_all, release_all};
pub use admin::{EventAdmin, Record};
pub use attributes::AttributeValue;
pub use builder::EventBuilder;
pub use capabilities::{Capabilities, DEFAULT_MAX_EVENT_BYTES};
pub use consumer::{EventConsumer, EventConsumerExt};
pub use dead_letter::{DeadLetter, DeadLetterReason};
pub use delivery::{Delivery, DeliveryParts};
pub use error::{Error, ErrorKind, Result};
pub use event::Event;
pub use extend_all::extend_all;
pub use headers::Headers;
pub use message_id::MessageId;
pub use observer::{Observer, Unobserved};
pub use options::{ConsumerOptions, StartFrom};
pub use payload::PayloadKind;
pub use publisher::{EventPublisher, EventPublisherExt};
pub use report::PublishReport;
pub use retention::{HeldBy, Retention, TrimReport};
pub use secret::Secret;
pub use seen::SeenStore;
pub use settler::{Receipt, Settlement, Settler};
pub use state::{ConsumerStatus, GroupStatus, PendingEvent, StreamState};

/// Marks an implementation of the traits of this crate; re-exported so that a backend needs no dependency of its own.
pub use async_trait::async_trait;
