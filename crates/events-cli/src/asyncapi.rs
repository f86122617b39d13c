//! `events asyncapi`: a document about the events of services, from the descriptions they store.

use std::fs;
use std::path::Path;

use anyhow::Result;
use events_core::{Error, ErrorKind};
use events_factory::Registry;
use events_schema::asyncapi::{CatalogEntry, Document};
use events_terminal::Exit;

use crate::flags::{Asyncapi, DocumentFormat};
use crate::manual::print;

pub(crate) fn run(flags: &Asyncapi) -> Result<Exit> {
    let config = flags.connection.loader().load()?.into_config();
    // Asks no broker, and refuses a URL that is misspelled.
    Registry::new().backend_name(&config)?;
    let mut document = Document::new(flags.title.as_str(), flags.document_version.as_str());
    if let Some(url) = config.broker_url()?
        && let Some(protocol) = url.scheme()
        && let Some(host) = host(&url)
    {
        document = document.with_server("broker", &host, &protocol);
    }
    for path in &flags.catalogs {
        for entry in &catalog(path)? {
            document = document.with_entry(entry, &config.stream_key);
        }
    }
    let text = match flags.format {
        DocumentFormat::Yaml => document.to_yaml(),
        DocumentFormat::Json => document.to_json(),
    };
    print(text.as_bytes())
}

/// The entries of a catalogue. Whatever is wrong with it is wrong with the command line that names it.
fn catalog(path: &Path) -> Result<Vec<CatalogEntry>> {
    let wrong = |what: &str| {
        Error::new(ErrorKind::InvalidConfig, "read catalogue", format!("{} {what}", path.display()))
    };
    let text = fs::read_to_string(path).map_err(|error| wrong("cannot be read").with_source(error))?;
    let entries = serde_json::from_str(&text);
    Ok(entries.map_err(|error| wrong("is no catalogue of events").with_source(error))?)
}

/// Host and port of a URL without its credentials; nothing where it leads to no server.
fn host(url: &events_factory::BrokerUrl) -> Option<String> {
    let rest = url.rest().strip_prefix("//")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (!host.is_empty()).then(|| host.to_owned())
}
