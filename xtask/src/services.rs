//! The backends and the servers they need: what the factory's features, the README's table and `docker-compose.yml` must agree on.

/// One backend as the user sees it.
#[derive(Debug)]
pub(crate) struct Backend {
    /// The factory's feature that compiles it in.
    pub(crate) feature: &'static str,
    /// The URL schemes that choose it; each stands in the first column of the README's table.
    pub(crate) schemes: &'static [&'static str],
    /// Further schemes that mean the same; the README may name them.
    pub(crate) aliases: &'static [&'static str],
    /// The services of `docker-compose.yml` that can serve it; none for a backend without a server.
    pub(crate) services: &'static [&'static str],
}

/// Every backend of the workspace.
pub(crate) const BACKENDS: &[Backend] = &[
    Backend { feature: "memory", schemes: &["memory:"], aliases: &[], services: &[] },
    Backend { feature: "sqlite", schemes: &["sqlite:"], aliases: &[], services: &[] },
    Backend {
        feature: "redis",
        schemes: &["redis://", "rediss://", "redis-cluster://", "redis-sentinel://"],
        aliases: &[
            "rediss-cluster://",
            "rediss-sentinel://",
            "valkey://",
            "valkeys://",
            "valkey-cluster://",
            "valkeys-cluster://",
            "valkey-sentinel://",
            "valkeys-sentinel://",
        ],
        services: &["redis", "valkey"],
    },
    Backend { feature: "aws", schemes: &["sns:", "sqs:"], aliases: &[], services: &["ministack"] },
];
