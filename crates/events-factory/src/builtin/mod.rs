//! The backends of this workspace, each behind its feature. The one place to add one.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::sync::Arc;

use crate::Backend;

/// A backend of this workspace, whether or not it is compiled in.
pub(crate) struct BuiltIn {
    /// Its name, which is also its cargo feature.
    pub(crate) name: &'static str,
    /// The URL schemes it answers to.
    pub(crate) schemes: &'static [&'static str],
    /// Makes it; `None` where it is not compiled in.
    pub(crate) backend: Option<fn() -> Arc<dyn Backend>>,
}

/// The backend behind the feature, or nothing.
macro_rules! if_compiled {
    ($feature:literal, $backend:path) => {{
        #[cfg(feature = $feature)]
        let backend: Option<fn() -> Arc<dyn Backend>> = Some(|| Arc::new($backend));
        #[cfg(not(feature = $feature))]
        let backend = None;
        backend
    }};
}

/// In the order messages list them, the embedded default first.
pub(crate) const BUILT_IN: &[BuiltIn] = &[
    BuiltIn { name: "sqlite", schemes: SQLITE, backend: if_compiled!("sqlite", sqlite::Sqlite) },
    BuiltIn { name: "memory", schemes: MEMORY, backend: if_compiled!("memory", memory::Memory) },
    BuiltIn { name: "redis", schemes: REDIS, backend: if_compiled!("redis", redis::Redis) },
    BuiltIn { name: "aws", schemes: AWS, backend: if_compiled!("aws", aws::Aws) },
];

const SQLITE: &[&str] = &["sqlite"];
const MEMORY: &[&str] = &["memory"];
const AWS: &[&str] = &["sns", "sqs"];
const REDIS: &[&str] = &[
    "redis",
    "rediss",
    "redis-cluster",
    "rediss-cluster",
    "redis-sentinel",
    "rediss-sentinel",
    "valkey",
    "valkeys",
    "valkey-cluster",
    "valkeys-cluster",
    "valkey-sentinel",
    "valkeys-sentinel",
];
