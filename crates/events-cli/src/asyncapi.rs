//! `events asyncapi`: a document about the events of services, from the descriptions they store.

use std::fs;
use std::io::Write as _;

use anyhow::{Context, Result};
use events_schema::asyncapi::{CatalogEntry, Document};
use events_terminal::Exit;

use crate::flags::{Asyncapi, DocumentFormat};

pub(crate) fn run(flags: &Asyncapi) -> Result<Exit> {
    let config = flags.connection.loader().load()?.into_config();
    let mut document = Document::new(flags.title.as_str(), flags.document_version.as_str());
    if let Some(url) = config.broker_url()?
        && let Some(protocol) = url.scheme()
        && let Some(host) = host(&url)
    {
        document = document.with_server("broker", &host, &protocol);
    }
    for path in &flags.catalogs {
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let entries: Vec<CatalogEntry> = serde_json::from_str(&text)
            .with_context(|| format!("{} is no catalogue of events", path.display()))?;
        for entry in &entries {
            document = document.with_entry(entry, &config.stream_key);
        }
    }
    let text = match flags.format {
        DocumentFormat::Yaml => document.to_yaml(),
        DocumentFormat::Json => document.to_json(),
    };
    std::io::stdout().lock().write_all(text.as_bytes()).context("cannot write the document")?;
    Ok(Exit::Success)
}

/// Host and port of a URL without its credentials; nothing where it leads to no server.
fn host(url: &events_factory::BrokerUrl) -> Option<String> {
    let rest = url.rest().strip_prefix("//")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (!host.is_empty()).then(|| host.to_owned())
}
