//! Reads a configuration file: which syntax it is in, and the `events` section in it.

use std::path::Path;
use std::sync::Arc;

use events_core::Result;

use super::tree::{Node, Place, Table, Value};
use super::{SyntaxError, toml, yaml};
use crate::invalid::{invalid, invalid_at};
use crate::suggest::did_you_mean;

/// The one key at the top of a file.
const SECTION: &str = "events";

/// The settings under `events:`; none where the file has no such section.
pub(crate) fn read_file(path: &Path) -> Result<Table> {
    let name: Arc<str> = path.to_string_lossy().into();
    let parse: fn(&str, &Arc<str>) -> Result<Table, SyntaxError> = match path
        .extension()
        .and_then(|extension| extension.to_str())
    {
        Some("yaml" | "yml") => yaml::parse,
        Some("toml") => toml::parse,
        _ => {
            return Err(invalid(format!("{name}: a configuration file ends in `.yaml`, `.yml` or `.toml`")));
        }
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| invalid(format!("{name}: cannot be read")).with_source(error))?;
    // Editors on Windows put a byte order mark before the first key.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut file = parse(text, &name).map_err(|error| invalid_at(&error.place, &error.message))?;
    let section = file.remove(SECTION);
    if let Some((key, _)) = file.entries.first() {
        let hint = did_you_mean(&key.name, &[SECTION]).unwrap_or_default();
        let message = format!("unknown key `{}`{hint}; settings stand under the key `{SECTION}`", key.name);
        return Err(invalid_at(&key.place, &message));
    }
    match section {
        None | Some(Node { value: Value::Null, .. }) => Ok(Table::default()),
        Some(Node { value: Value::Table(settings), .. }) => Ok(settings),
        Some(Node { place, value }) => Err(wrong_section(&place, &value)),
    }
}

fn wrong_section(place: &Place, value: &Value) -> events_core::Error {
    invalid_at(place, &format!("`{SECTION}`: expected a section of keys, found {}", value.describe()))
}
