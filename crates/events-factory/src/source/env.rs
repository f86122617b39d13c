//! Settings from environment variables.

use events_core::Result;

use super::tree::{Place, Table};
use crate::invalid::invalid_at;
use crate::suggest::did_you_mean;

/// Variables for the settings that differ most between two deployments of one configuration file.
const SHORT: [(&str, &str); 5] = [
    ("EVENTS_URL", "url"),
    ("EVENTS_ENABLED", "enabled"),
    ("EVENTS_STREAM_KEY", "stream_key"),
    ("EVENTS_CONSUMER_GROUP", "consumer_group"),
    ("EVENTS_CONSUMER_NAME", "consumer_name"),
];

/// What the names of all other variables begin with: `EVENTS__REDIS__PASSWORD` is `redis.password`.
const NESTED: &str = "EVENTS__";

/// Lays the variables over the settings of the file.
///
/// An empty variable counts as not set, since Compose files and CI hand over empty ones for what nobody filled in.
/// Other names that begin with `EVENTS_` are somebody else's: Kubernetes sets `EVENTS_PORT` for a service named `events`.
/// One that looks like a slip of the pen is warned of.
pub(crate) fn overlay_environment(
    settings: &mut Table,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<()> {
    let mut variables: Vec<_> = variables
        .into_iter()
        .filter(|(name, value)| name.starts_with("EVENTS_") && !value.is_empty())
        .collect();
    // Sorted, the nested spelling comes after the short one and wins, on every machine alike.
    variables.sort();
    for (name, value) in variables {
        let place = Place::Environment(name.clone());
        let path = if let Some(nested) = name.strip_prefix(NESTED) {
            nested.to_lowercase()
        } else if let Some((_, key)) = SHORT.iter().find(|(short, _)| *short == name) {
            (*key).to_owned()
        } else {
            if let Some(hint) = did_you_mean(&name, &SHORT.map(|(short, _)| short)) {
                tracing::warn!("environment variable {name} is no setting and is passed over{hint}");
            }
            continue;
        };
        let path: Vec<&str> = path.split("__").collect();
        if path.contains(&"") {
            return Err(invalid_at(&place, "has an empty part between its double underscores"));
        }
        settings.overlay(&path, &value, &place).map_err(|taken| {
            invalid_at(&place, &format!("there is a value at {taken} where this needs a section"))
        })?;
    }
    Ok(())
}
