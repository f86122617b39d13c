//! The backends and the servers they need: what the factory's features, the README's table and `docker-compose.yml` must agree on.

/// One backend as the user sees it.
#[derive(Debug)]
pub(crate) struct Backend {
    /// The factory's feature that compiles it in.
    pub(crate) feature: &'static str,
    /// The URL schemes that choose it; each stands in the first column of the README's table.
    pub(crate) schemes: &'static [&'static str],
    /// The services of `docker-compose.yml` that can serve it; none for a backend without a server.
    pub(crate) services: &'static [&'static str],
}

/// Every backend of the workspace.
pub(crate) const BACKENDS: &[Backend] = &[
    Backend { feature: "memory", schemes: &["memory:"], services: &[] },
    Backend { feature: "sqlite", schemes: &["sqlite:"], services: &[] },
    Backend {
        feature: "redis",
        schemes: &["redis://", "rediss://", "redis-cluster://", "redis-sentinel://"],
        services: &["redis", "valkey"],
    },
];
