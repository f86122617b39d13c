//! The flags that say which stream of which broker.

use std::path::PathBuf;

use clap::Args;
use events_factory::{BrokerUrl, ConfigLoader};

/// Which stream of which broker. Each flag wins over the environment, and the environment over the file.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// The broker, such as `redis://localhost:6379`, `sqlite:events.db` or `memory:`.
    ///
    /// Where no URL is set at all, events live in a file in your state directory.
    ///
    /// Other users can read the command line: a URL with a password is better given as EVENTS_URL, or as `url_file` in the
    /// configuration file.
    #[arg(long, value_name = "URL")]
    pub url: Option<BrokerUrl>,

    /// A configuration file, YAML or TOML, with its settings under `events:`.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The stream [default: qontract:events]
    #[arg(long, value_name = "KEY")]
    pub stream_key: Option<String>,
}

impl ConnectionArgs {
    /// The layers of the configuration: the file, the environment of this process, these flags.
    pub fn loader(&self) -> ConfigLoader {
        self.loader_with(std::env::vars_os().filter_map(|(name, value)| {
            // What is not UTF-8 is none of our variables, or none of our values.
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    fn loader_with(&self, environment: impl IntoIterator<Item = (String, String)>) -> ConfigLoader {
        let mut loader = ConfigLoader::new().with_environment(environment);
        if let Some(file) = &self.config {
            loader = loader.with_file(file);
        }
        if let Some(url) = &self.url {
            loader = loader.with_override("url", url.expose(), "--url");
        }
        if let Some(stream_key) = &self.stream_key {
            loader = loader.with_override("stream_key", stream_key, "--stream-key");
        }
        loader
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_environment() {
        let flags =
            ConnectionArgs { url: Some(BrokerUrl::new("memory:flag")), config: None, stream_key: None };
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let environment = [variable("EVENTS_URL", "memory:env"), variable("EVENTS_STREAM_KEY", "env")];
        let config = flags.loader_with(environment).load().unwrap().into_config();
        assert_eq!(config.url.unwrap().expose(), "memory:flag");
        assert_eq!(config.stream_key, "env");
    }

    #[test]
    fn printing_the_flags_shows_no_password() {
        let url = Some(BrokerUrl::new("redis://:hunter2@host"));
        assert!(!format!("{:?}", ConnectionArgs { url, ..ConnectionArgs::default() }).contains("hunter2"));
    }
}
