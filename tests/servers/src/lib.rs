//! Real server processes for tests: each on its own port, in its own directory, gone when the test is.
//!
//! The interface is synchronous, so that `Drop` can clean up; every call takes milliseconds and may be made from an
//! asynchronous test. A program that is missing is an error that names the remedy, never a skipped test.

mod aws_emulator;
mod port;
mod process;
mod program;
mod python;
mod redis;
mod redis_builder;
mod redis_cluster;
mod redis_sentinel;
mod resp;
mod shared_redis;
mod spawner;
mod startup;

pub use aws_emulator::{AwsEmulator, AwsEmulatorKind};
pub use port::Port;
pub use process::{STOP_DEADLINE, ServerProcess};
pub use python::PythonEnv;
pub use redis::RedisServer;
pub use redis_builder::{RedisServerBuilder, ServerGeneration};
pub use redis_cluster::RedisCluster;
pub use redis_sentinel::RedisSentinel;
pub use resp::{Reply, RespConnection};
pub use shared_redis::SharedRedis;
