//! TLS: whom to trust, and how to prove who we are.

use std::path::Path;

use events_core::{Error, ErrorKind, Result};
use fred::rustls::crypto::{CryptoProvider, aws_lc_rs};
use fred::rustls::pki_types::pem::PemObject;
use fred::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use fred::rustls::{ClientConfig, RootCertStore};
use fred::rustls_native_certs::load_native_certs;
use fred::types::config::TlsConnector;

use crate::RedisConfig;

/// What connects by TLS as the configuration says.
///
/// # Errors
///
/// [`InvalidConfig`](ErrorKind::InvalidConfig) for a file that cannot be read or holds something else.
pub(super) fn connector(config: &RedisConfig) -> Result<TlsConnector> {
    // A program that has two of these libraries must say which one it means, or TLS panics. What it said before stays.
    if CryptoProvider::get_default().is_none() {
        drop(aws_lc_rs::default_provider().install_default());
    }
    let builder = ClientConfig::builder().with_root_certificates(trusted(config.tls_ca_file.as_deref())?);
    let client = match (&config.tls_cert_file, &config.tls_key_file) {
        (Some(certificate), Some(key)) => {
            let unusable =
                |error| invalid("`tls_cert_file` and `tls_key_file` do not go together").with_source(error);
            let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable("tls_key_file"))?;
            let chain = certificates(certificate, "tls_cert_file")?;
            builder.with_client_auth_cert(chain, key).map_err(unusable)?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err(invalid("`tls_cert_file` and `tls_key_file` go together")),
    };
    Ok(client.into())
}

/// The authorities of the file, or those the system trusts.
fn trusted(file: Option<&Path>) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let Some(file) = file else {
        let system = load_native_certs();
        // Some of what a system keeps is often unusable; what matters is whether anything is left.
        store.add_parsable_certificates(system.certs);
        return match system.errors.into_iter().next() {
            Some(error) if store.is_empty() => {
                Err(invalid("the system's certificate authorities cannot be read").with_source(error))
            }
            _ => Ok(store),
        };
    };
    for certificate in certificates(file, "tls_ca_file")? {
        store
            .add(certificate)
            .map_err(|error| invalid("`tls_ca_file` holds no authority").with_source(error))?;
    }
    Ok(store)
}

/// The certificates of a PEM file, of which there is at least one.
fn certificates(file: &Path, key: &'static str) -> Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.map_err(unreadable(key))?;
    if all.is_empty() {
        return Err(invalid(format!("the file of `{key}` holds no certificate")));
    }
    Ok(all)
}

fn unreadable(key: &'static str) -> impl Fn(fred::rustls::pki_types::pem::Error) -> Error {
    move |error| invalid(format!("the file of `{key}` cannot be read")).with_source(error)
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidConfig, "connect", message)
}
