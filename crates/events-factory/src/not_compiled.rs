//! Sections of what was left out of the build: known, refused, and told what to do.

use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, de};

/// A section that may not be there. Ignoring it would hide that its settings have no effect.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NotCompiled<F>(PhantomData<F>);

/// A cargo feature.
pub(crate) trait Feature {
    const NAME: &'static str;
}

macro_rules! missing {
    ($($feature:literal $marker:ident)*) => {$(
        #[cfg(not(feature = $feature))]
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct $marker;

        #[cfg(not(feature = $feature))]
        impl Feature for $marker {
            const NAME: &'static str = $feature;
        }
    )*};
}

missing! {
    "aws" Aws
    "memory" Memory
    "redis" Redis
    "runtime" Runtime
    "sqlite" Sqlite
}

impl<'de, F: Feature> Deserialize<'de> for NotCompiled<F> {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom(format_args!(
            "this is not compiled in; build with the cargo feature `{}` of events-factory",
            F::NAME
        )))
    }
}
