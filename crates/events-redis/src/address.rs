//! `Address`: a server's URL taken apart.

use std::str::FromStr;

use events_core::{Error, ErrorKind, Result, Secret};
use percent_encoding::percent_decode_str;
use url::Url;

/// The port of a server where the URL names none.
const SERVER_PORT: u16 = 6379;

/// The port of a sentinel where the URL names none.
const SENTINEL_PORT: u16 = 26379;

/// Host and port.
pub(crate) type Node = (String, u16);

/// Where the servers are and how to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) topology: Topology,
    pub(crate) tls: bool,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) database: Option<u8>,
}

/// How the servers hang together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    Single(Node),
    Cluster(Vec<Node>),
    Sentinel { nodes: Vec<Node>, service: String, username: Option<String>, password: Option<Secret> },
}

enum Kind {
    Single,
    Cluster,
    Sentinel,
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // The parser's own message may quote the input, and with it a password, so it is not passed on.
        let url = Url::parse(text).map_err(|_| invalid("the URL cannot be parsed"))?;
        let (kind, tls) = scheme(url.scheme())?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| invalid("the URL names no host"))?;
        let default_port = if matches!(kind, Kind::Sentinel) { SENTINEL_PORT } else { SERVER_PORT };
        let first = (without_brackets(host), url.port().unwrap_or(default_port));
        let mut parameters = Parameters::read(&url, default_port)?;
        let topology = match kind {
            Kind::Single => Topology::Single(first),
            Kind::Cluster => Topology::Cluster(parameters.with_first(first)),
            Kind::Sentinel => Topology::Sentinel {
                service: parameters
                    .service
                    .take()
                    .ok_or_else(|| invalid("a sentinel URL needs `?sentinelServiceName=`"))?,
                username: parameters.username.take(),
                password: parameters.password.take().map(Secret::new),
                nodes: parameters.with_first(first),
            },
        };
        parameters.refuse_rest(&topology)?;
        let username = Some(decoded(url.username())?).filter(|username| !username.is_empty());
        let password = url.password().map(decoded).transpose()?.map(Secret::new);
        let database = database(url.path())?;
        if matches!(topology, Topology::Cluster(_)) && database.is_some_and(|number| number != 0) {
            return Err(invalid("a cluster has no database but 0"));
        }
        Ok(Self { topology, tls, username, password, database })
    }
}

fn scheme(scheme: &str) -> Result<(Kind, bool)> {
    let unknown =
        || invalid("the URL's scheme must be redis, rediss, redis-cluster, redis-sentinel or their like");
    let (family, kind) = match scheme.split_once('-') {
        None => (scheme, Kind::Single),
        Some((family, "cluster")) => (family, Kind::Cluster),
        Some((family, "sentinel")) => (family, Kind::Sentinel),
        Some(_) => return Err(unknown()),
    };
    match family {
        "redis" | "valkey" => Ok((kind, false)),
        "rediss" | "valkeys" => Ok((kind, true)),
        _ => Err(unknown()),
    }
}

/// What the query of a URL says.
#[derive(Default)]
struct Parameters {
    nodes: Vec<Node>,
    service: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl Parameters {
    fn read(url: &Url, default_port: u16) -> Result<Self> {
        let mut parameters = Self::default();
        for (name, value) in url.query_pairs() {
            let value = value.into_owned();
            match &*name {
                "node" => parameters.nodes.push(node(&value, default_port)?),
                "sentinelServiceName" => parameters.service = Some(value),
                "sentinelUsername" => parameters.username = Some(value),
                "sentinelPassword" => parameters.password = Some(value),
                _ => return Err(invalid(format!("the URL has an unknown parameter `{name}`"))),
            }
        }
        Ok(parameters)
    }

    fn with_first(&mut self, first: Node) -> Vec<Node> {
        let mut nodes = vec![first];
        nodes.append(&mut self.nodes);
        nodes
    }

    /// A parameter that means nothing for this kind of server is a mistake somebody should hear of.
    fn refuse_rest(&self, topology: &Topology) -> Result<()> {
        let rest = !self.nodes.is_empty()
            || self.service.is_some()
            || self.username.is_some()
            || self.password.is_some();
        match topology {
            Topology::Single(_) if rest => Err(invalid("a URL of a single server takes no parameters")),
            Topology::Cluster(_) if rest => Err(invalid("a cluster URL takes no parameters but `node`")),
            _ => Ok(()),
        }
    }
}

fn node(text: &str, default_port: u16) -> Result<Node> {
    let unreadable = || invalid("the URL has a `node` that is not host:port");
    // Through a URL once more, so that IPv6 addresses and ports are read the same way everywhere.
    let url = Url::parse(&format!("redis://{text}")).map_err(|_| unreadable())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(unreadable)?;
    Ok((without_brackets(host), url.port().unwrap_or(default_port)))
}

fn without_brackets(host: &str) -> String {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned()
}

fn decoded(text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(String::from).map_err(|_| invalid("user and password in the URL must be UTF-8"))
}

fn database(path: &str) -> Result<Option<u8>> {
    match path.trim_matches('/') {
        "" => Ok(None),
        number => {
            number.parse().map(Some).map_err(|_| invalid("the database in the URL must be a number to 255"))
        }
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidConfig, "redis URL", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Address {
        url.parse().unwrap()
    }

    #[test]
    fn a_single_server_is_named_by_host_port_and_database() {
        let plain = parsed("redis://localhost");
        assert_eq!(plain.topology, Topology::Single(("localhost".into(), 6379)));
        assert_eq!((plain.tls, plain.database, plain.username, plain.password), (false, None, None, None));
        let full = parsed("valkeys://us%40er:p%2Fa%3Ass@[::1]:7000/3");
        assert_eq!(full.topology, Topology::Single(("::1".into(), 7000)));
        assert_eq!((full.tls, full.database), (true, Some(3)));
        assert_eq!(full.username.as_deref(), Some("us@er"));
        assert_eq!(full.password, Some(Secret::new("p/a:ss")));
        assert_eq!(parsed("redis://:secret@h").username, None);
    }

    #[test]
    fn a_cluster_is_named_by_any_of_its_nodes() {
        let nodes = vec![("a".into(), 7000), ("b".into(), 7001), ("c".into(), 6379)];
        assert_eq!(parsed("redis-cluster://a:7000?node=b:7001&node=c").topology, Topology::Cluster(nodes));
        assert!(parsed("rediss-cluster://a").tls);
    }

    #[test]
    fn sentinels_are_named_with_their_service() {
        let url = "redis-sentinel://u:p@a/2?sentinelServiceName=main&node=b:1&sentinelUsername=s&sentinelPassword=t";
        let sentinel = parsed(url);
        assert_eq!(
            sentinel.topology,
            Topology::Sentinel {
                nodes: vec![("a".into(), 26379), ("b".into(), 1)],
                service: "main".into(),
                username: Some("s".into()),
                password: Some(Secret::new("t")),
            }
        );
        assert_eq!((sentinel.username.as_deref(), sentinel.database), (Some("u"), Some(2)));
    }

    #[test]
    fn a_url_that_cannot_be_meant_is_refused_without_repeating_it() {
        for url in [
            "redis://",
            "redis:///1",
            "http://hunter2@h",
            "redis-ring://h",
            "redis://user:hunter2@h:port",
            "redis://h/hunter2",
            "redis://h/256",
            "redis://h?node=b",
            "redis://h?timeout=3",
            "redis-cluster://h/1",
            "redis-cluster://h?sentinelServiceName=x",
            "redis-sentinel://h",
            "redis-sentinel://h?sentinelServiceName=x&node=:1",
        ] {
            let error = url.parse::<Address>().expect_err(url);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{url}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
