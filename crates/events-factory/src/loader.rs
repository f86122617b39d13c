//! Puts a configuration together: a file, then the environment, then flags.

use std::fmt;
use std::path::{Path, PathBuf};

use events_core::Result;

use crate::EventsConfig;
use crate::invalid::invalid_at;
use crate::source::{self, Place, Table, Value};
use crate::url::{BrokerUrl, sounds_secret};

/// Collects the layers of a configuration; each layer replaces single settings of the one before.
///
/// ```
/// use events_factory::ConfigLoader;
///
/// let variables = [("EVENTS_STREAM_KEY".to_owned(), "orders".to_owned())];
/// let settings = ConfigLoader::new()
///     .with_environment(variables) // Usually `std::env::vars()`.
///     .with_override("url", "memory:", "--url")
///     .load()?;
/// assert_eq!(settings.config().stream_key, "orders");
/// # Ok::<(), events_core::Error>(())
/// ```
#[derive(Default)]
#[must_use = "a loader does nothing until `load` is called"]
pub struct ConfigLoader {
    file: Option<PathBuf>,
    environment: Vec<(String, String)>,
    overrides: Vec<Override>,
}

struct Override {
    key: String,
    value: String,
    flag: String,
}

impl ConfigLoader {
    /// A loader of no layers, which gives the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The file, YAML or TOML by the end of its name; its settings stand under the key `events`.
    pub fn with_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// The environment. `EVENTS_URL`, `EVENTS_ENABLED`, `EVENTS_STREAM_KEY`, `EVENTS_CONSUMER_GROUP` and
    /// `EVENTS_CONSUMER_NAME` are read, and `EVENTS__A__B` as the key `a.b`; empty variables are not.
    pub fn with_environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// A setting from the command line: its dotted key, its value, and the flag to name in errors.
    pub fn with_override(
        mut self,
        key: impl Into<String>,
        value: impl Into<String>,
        flag: impl Into<String>,
    ) -> Self {
        self.overrides.push(Override { key: key.into(), value: value.into(), flag: flag.into() });
        self
    }

    /// Reads all layers.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig), naming the file and line, the variable or the flag of
    /// whatever is unknown, missing or of the wrong type.
    pub fn load(self) -> Result<Settings> {
        let mut table = match &self.file {
            Some(path) => source::read_file(path)?,
            None => Table::default(),
        };
        source::overlay_environment(&mut table, self.environment)?;
        for Override { key, value, flag } in self.overrides {
            let place = Place::Flag(flag);
            let path: Vec<&str> = key.split('.').collect();
            table.overlay(&path, &value, &place).map_err(|taken| {
                invalid_at(&place, &format!("there is a value at {taken} where this needs a section"))
            })?;
        }
        let given = table.leaves().into_iter().map(|(key, node)| Setting::new(key, node)).collect();
        Ok(Settings { config: source::deserialize(table)?, given, file: self.file })
    }
}

impl fmt::Debug for ConfigLoader {
    /// Names without values, some of which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigLoader")
            .field("file", &self.file)
            .field("overrides", &self.overrides.iter().map(|setting| &setting.flag).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A configuration and where its settings came from.
#[derive(Clone, Debug)]
pub struct Settings {
    config: EventsConfig,
    given: Vec<Setting>,
    file: Option<PathBuf>,
}

impl Settings {
    /// The configuration.
    pub fn config(&self) -> &EventsConfig {
        &self.config
    }

    /// The configuration by value.
    pub fn into_config(self) -> EventsConfig {
        self.config
    }

    /// The settings that are not left to their defaults, in the order of the layers.
    pub fn given(&self) -> &[Setting] {
        &self.given
    }

    /// The file they came from, if there was one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// One setting that was given, safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The dotted key, such as `redis.password`.
    pub key: String,
    /// The value as it was spelled; `[redacted]` for a secret.
    pub value: String,
    /// Where it was given.
    pub place: Place,
}

impl Setting {
    fn new(key: String, node: &source::Node) -> Self {
        let value = match &node.value {
            _ if sounds_secret(&key) => "[redacted]".to_owned(),
            Value::Null => "null".to_owned(),
            Value::Scalar(scalar) if is_url(&key) => BrokerUrl::new(scalar.text.as_str()).to_string(),
            Value::Scalar(scalar) => scalar.text.clone(),
            Value::List(_) | Value::Table(_) => format!("({})", node.value.describe()),
        };
        Self { key, value, place: node.place.clone() }
    }
}

fn is_url(key: &str) -> bool {
    key.rsplit('.').next().is_some_and(|name| name.ends_with("url"))
}
