//! The URL that chooses a backend, safe to print.

use std::fmt;

use serde::Deserialize;

/// The URL of a broker. Printed, its password is redacted.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct BrokerUrl(String);

impl BrokerUrl {
    /// Takes a URL as it is; the backend it leads to checks it.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The whole URL, password included; hand it to a client and to nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon, in lower case; `None` without a colon.
    pub fn scheme(&self) -> Option<String> {
        self.0.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase())
    }

    /// What stands after the first colon.
    pub fn rest(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, rest)| rest)
    }
}

impl From<&str> for BrokerUrl {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl fmt::Display for BrokerUrl {
    /// Redacts generously, since a URL that no client would take may still hold a password: everything between the user
    /// name and the last `@`, and the values of parameters that sound like secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = match self.0.split_once(':') {
            Some((scheme, rest)) if !scheme.contains('@') => (scheme, rest),
            _ if self.0.contains('@') => return f.write_str("[redacted]"),
            _ => return f.write_str(&self.0),
        };
        write!(f, "{scheme}:")?;
        let after_slashes = rest.trim_start_matches('/');
        f.write_str(&rest[..rest.len() - after_slashes.len()])?;
        let rest = match after_slashes.rsplit_once('@') {
            None => after_slashes,
            Some((user_info, rest)) => {
                match user_info.split_once(':') {
                    Some((user, _)) => write!(f, "{user}:[redacted]@")?,
                    // What stands alone is a user name by the rules, and a token by habit.
                    None => f.write_str("[redacted]@")?,
                }
                rest
            }
        };
        let Some((address, query)) = rest.split_once('?') else { return f.write_str(rest) };
        f.write_str(address)?;
        for (at, parameter) in query.split('&').enumerate() {
            f.write_str(if at == 0 { "?" } else { "&" })?;
            match parameter.split_once('=') {
                Some((name, _)) if sounds_secret(name) => write!(f, "{name}=[redacted]")?,
                _ => f.write_str(parameter)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Whether a value under this name should not be printed.
pub(crate) fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !name.ends_with("_file")
        && ["pass", "secret", "token", "auth", "credential", "key_id", "private"]
            .iter()
            .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        for (url, printed) in [
            ("redis://localhost:6379/0", "redis://localhost:6379/0"),
            ("redis://user:hunter2@host:6379/1", "redis://user:[redacted]@host:6379/1"),
            ("redis://:hunter2@host", "redis://:[redacted]@host"),
            ("redis://:hun@ter/2?x#@host", "redis://:[redacted]@host"),
            ("redis:user:hunter2@host", "redis:user:[redacted]@host"),
            ("redis://hunter2@host", "redis://[redacted]@host"),
            ("reddis://:hunter2@host", "reddis://:[redacted]@host"),
            (
                "redis-sentinel://a:1?sentinelServiceName=m&sentinelPassword=hunter2",
                "redis-sentinel://a:1?sentinelServiceName=m&sentinelPassword=[redacted]",
            ),
            ("user@hunter2:host", "[redacted]"),
            ("hunter2@host", "[redacted]"),
            ("sqlite:/var/lib/events.db", "sqlite:/var/lib/events.db"),
            ("sqlite:///var/lib/events.db", "sqlite:///var/lib/events.db"),
            ("nonsense", "nonsense"),
        ] {
            let url = BrokerUrl::new(url);
            assert_eq!(url.to_string(), printed);
            assert!(!format!("{url:?}").contains("hunter2"));
        }
    }
}
