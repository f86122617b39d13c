//! Events on AWS: published to SNS topics or SQS queues, consumed from SQS queues.

#![doc = include_str!("../README.md")]

mod body_format;
mod config;
mod group_key;
mod limits;
mod seconds;

mod address;
mod calls;
mod error;
mod target;

mod attribute;
mod message;
mod publisher;
mod sender;

mod batched;
mod burial;
mod consumer;
mod deleter;
mod holdings;
mod incoming;
mod intake;
mod keeper;
mod patience;
mod polls;
mod queue;
mod record;
mod settler;

mod admin;
mod graveyard;

mod ensure;
mod policy;
mod setup;
mod step;

mod capabilities;

pub use admin::SqsAdmin;
pub use body_format::BodyFormat;
pub use calls::AwsClients;
pub use config::AwsConfig;
pub use consumer::SqsConsumer;
pub use group_key::GroupKey;
pub use publisher::AwsPublisher;
pub use setup::{Ensured, Setup};
pub use step::Step;
