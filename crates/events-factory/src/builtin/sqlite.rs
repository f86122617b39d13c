//! `sqlite:<path>`: the embedded backend, and `sqlite:` its file in the user's state directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use etcetera::BaseStrategy;
use events_core::{
    ConsumerOptions, EventAdmin, EventConsumer, EventPublisher, Result, SeenStore, async_trait,
};
use events_sqlite::{SqliteAdmin, SqliteConfig, SqliteConsumer, SqlitePublisher, SqliteSeen};

use crate::invalid::invalid;
use crate::{Backend, Target};

/// The file below the user's state directory, which is `$XDG_STATE_HOME` or `~/.local/state`.
const DEFAULT_FILE: [&str; 2] = ["events", "events.db"];

#[derive(Debug)]
pub(super) struct Sqlite;

#[async_trait]
impl Backend for Sqlite {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn schemes(&self) -> &[&str] {
        super::SQLITE
    }

    async fn publisher(&self, target: &Target<'_>) -> Result<Arc<dyn EventPublisher>> {
        let publisher = SqlitePublisher::open(&settings(target)?, target.stream_key).await?;
        Ok(Arc::new(publisher.with_encoding(target.config.encoding)))
    }

    async fn consumer(
        &self,
        target: &Target<'_>,
        options: ConsumerOptions,
    ) -> Result<Box<dyn EventConsumer>> {
        Ok(Box::new(SqliteConsumer::open(&settings(target)?, target.stream_key, options).await?))
    }

    async fn admin(&self, target: &Target<'_>) -> Result<Arc<dyn EventAdmin>> {
        Ok(Arc::new(SqliteAdmin::open(&settings(target)?, target.stream_key).await?))
    }

    async fn seen_store(
        &self,
        target: &Target<'_>,
        group: &str,
        keep: Duration,
    ) -> Result<Arc<dyn SeenStore>> {
        Ok(Arc::new(SqliteSeen::open(&settings(target)?, target.stream_key, group, keep).await?))
    }
}

/// The section's settings, with the file the URL names, else the section, else the default one.
fn settings(target: &Target<'_>) -> Result<SqliteConfig> {
    let mut settings = target.config.sqlite.clone();
    if let Some(limit) = target.config.max_event_bytes {
        settings.max_event_bytes = limit.get();
    }
    if let Some(path) = path_of(target.url.rest())? {
        settings.path = path;
    } else if settings.path.as_os_str().is_empty() {
        settings.path = default_file()?;
    }
    Ok(settings)
}

/// The path in a URL: `events.db`, `/var/lib/events.db` and `///var/lib/events.db` are all taken; `None` when there is none.
fn path_of(rest: &str) -> Result<Option<PathBuf>> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Ok(None);
    }
    // Neither is expanded or read by anybody, and a file of that name would be a surprise.
    if path.starts_with("~/") {
        return Err(invalid(format!("`sqlite:{path}`: `~` is not expanded in a URL; write the whole path")));
    }
    if path.contains('?') {
        return Err(invalid(format!(
            "`sqlite:{path}` takes no parameters; settings stand in the section `sqlite` of the configuration"
        )));
    }
    if path == ":memory:" {
        return Err(invalid(
            "`sqlite::memory:` would be empty for everybody else; `memory:` is the backend for that",
        ));
    }
    Ok(Some(PathBuf::from(path)))
}

fn default_file() -> Result<PathBuf> {
    let directories = etcetera::choose_base_strategy().map_err(|error| {
        invalid(
            "there is no home directory for the default file; name one, as in `sqlite:/var/lib/events.db`",
        )
        .with_source(error)
    })?;
    let file = default_file_in(&directories);
    if let Some(directory) = file.parent() {
        create(directory)?;
    }
    Ok(file)
}

/// Only Windows has no state directory; its data directory is the nearest.
fn default_file_in(directories: &impl BaseStrategy) -> PathBuf {
    let state = directories.state_dir().unwrap_or_else(|| directories.data_dir());
    DEFAULT_FILE.iter().fold(state, |path, part| path.join(part))
}

/// The directory of the default file is ours to make; that of a file the user names is not.
fn create(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory)
        .map_err(|error| invalid(format!("{}: cannot be created", directory.display())).with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use events_core::ErrorKind;

    #[test]
    fn every_spelling_of_a_path_is_taken() {
        for (rest, path) in [
            ("", None),
            ("//", None),
            ("events.db", Some("events.db")),
            ("./a b.db", Some("./a b.db")),
            ("/var/lib/events.db", Some("/var/lib/events.db")),
            ("///var/lib/events.db", Some("/var/lib/events.db")),
            ("//events.db", Some("events.db")),
        ] {
            assert_eq!(path_of(rest).unwrap(), path.map(PathBuf::from), "{rest}");
        }
        for rest in ["~/events.db", "events.db?mode=ro", ":memory:"] {
            assert_eq!(path_of(rest).expect_err(rest).kind(), ErrorKind::InvalidConfig);
        }
    }
}
