//! `--check-config`: the settings in effect, where each comes from, and whether they could work.

use anyhow::Result;
use events_factory::{EventsConfig, Registry, Setting, Settings};
use events_terminal::{Exit, Output};

use crate::flags::Flags;

/// Prints the settings, then checks everything that can be checked without connecting.
pub(crate) async fn check(settings: &Settings, flags: &Flags) -> Result<Exit> {
    let config = flags.config(settings);
    let mut output = Output::new();
    output.buffer().extend_from_slice(describe(settings, &config).as_bytes());
    output.flush_to_reader().await?;
    let registry = Registry::new();
    let backend = registry.backend_name(&config)?;
    config.consumer_options()?;
    tracing::info!("the configuration is sound; the backend is {backend}; nothing was connected to");
    Ok(Exit::Success)
}

/// One line for each setting: what every backend has, then what is given for a single one.
fn describe(settings: &Settings, config: &EventsConfig) -> String {
    let lease =
        config.lease.map_or_else(|| "60s, or the broker's own".to_owned(), |lease| format!("{lease:?}"));
    let defaults = [
        ("enabled", config.enabled.to_string()),
        ("url", "sqlite: (a file in the state directory)".to_owned()),
        ("stream_key", config.stream_key.clone()),
        ("consumer_group", config.consumer_group.clone().unwrap_or_default()),
        ("consumer_name", "unique for every consumer".to_owned()),
        ("lease", lease),
        ("max_deliveries", config.max_deliveries.to_string()),
        ("start_from", "earliest".to_owned()),
        ("max_event_bytes", "the backend's own".to_owned()),
    ];
    let given = |key: &str| settings.given().iter().find(|setting| setting.key == key);
    let mut lines = String::new();
    for (key, default) in &defaults {
        match given(key) {
            Some(setting) => lines += &line(setting),
            // The URL is given, in a file of its own.
            None if *key == "url" && given("url_file").is_some() => {}
            None => lines += &format!("{key}: {default}  (default)\n"),
        }
    }
    let further = |setting: &&Setting| !defaults.iter().any(|(key, _)| *key == setting.key);
    settings.given().iter().filter(further).for_each(|setting| lines += &line(setting));
    lines
}

fn line(Setting { key, value, place, .. }: &Setting) -> String {
    format!("{key}: {}  ({place})\n", value.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use events_factory::ConfigLoader;

    #[test]
    fn names_every_setting_and_no_secret() {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let environment = [variable("EVENTS_URL", "redis://:hunter2@host"), variable("EVENTS__LEASE", "5s")];
        let settings = ConfigLoader::new().with_environment(environment).load().unwrap();
        let flags = Flags::try_parse_from(["event-log-sink"]).unwrap();
        let text = describe(&settings, &flags.config(&settings));
        assert!(!text.contains("hunter2"), "{text}");
        for part in ["EVENTS_URL", "lease: 5s  (environment", "consumer_group: event-log-sink  (default)"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(text.lines().count(), 9);
    }
}
