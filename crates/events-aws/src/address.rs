//! Queue URLs and topic ARNs, and what can be read off them.

use events_core::{Error, ErrorKind, Result};

use crate::limits;

/// A queue by its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueAddress {
    pub(crate) url: String,
    pub(crate) name: String,
    /// The region, where the host says it.
    pub(crate) region: Option<String>,
    /// Scheme and host of a queue that is not on AWS itself: an emulator, or a compatible broker.
    pub(crate) foreign_endpoint: Option<String>,
}

impl QueueAddress {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let invalid = |rule: &str| {
            let message = format!("{url:?} is no queue URL: {rule}");
            Err(Error::new(ErrorKind::InvalidConfig, "queue address", message))
        };
        let Some((scheme, rest)) = url.split_once("://") else {
            return invalid("it must begin with https:// or http://");
        };
        if scheme != "https" && scheme != "http" {
            return invalid("it must begin with https:// or http://");
        }
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if host.is_empty() || name.is_empty() {
            return invalid("it must hold a host, an account and the queue's name");
        }
        if host.contains('@') || rest.contains('?') {
            return invalid("credentials and queries have no place in it");
        }
        let is_aws = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
        let foreign_endpoint = (!is_aws).then(|| format!("{scheme}://{host}"));
        Ok(Self {
            url: url.to_owned(),
            name: name.to_owned(),
            region: if is_aws { region_of(host) } else { None },
            foreign_endpoint,
        })
    }

    pub(crate) fn is_fifo(&self) -> bool {
        limits::is_fifo(&self.name)
    }

    /// The account, where the URL names one: the digits before the queue's name.
    pub(crate) fn account(&self) -> Option<&str> {
        let account = self.url.trim_end_matches('/').rsplit('/').nth(1)?;
        (!account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
    }
}

/// `us-east-1` of `sqs.us-east-1.amazonaws.com`, and of the older `us-east-1.queue.amazonaws.com`.
fn region_of(host: &str) -> Option<String> {
    let is_region =
        |label: &&str| label.split('-').count() >= 3 && label.ends_with(|c: char| c.is_ascii_digit());
    host.split('.').find(is_region).map(ToOwned::to_owned)
}

/// A topic, or a queue, by its ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arn {
    pub(crate) text: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) name: String,
}

impl Arn {
    /// Reads `arn:<partition>:<service>:<region>:<account>:<name>`.
    pub(crate) fn parse(service: &str, text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts[..] {
            ["arn", partition, of, region, account, name]
                if of == service && ![partition, region, account, name].contains(&"") =>
            {
                Ok(Self {
                    text: text.to_owned(),
                    region: region.to_owned(),
                    account: account.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => Err(Error::new(
                ErrorKind::InvalidConfig,
                "address",
                format!("{text:?} is not arn:<partition>:{service}:<region>:<account>:<name>"),
            )),
        }
    }

    pub(crate) fn is_fifo(&self) -> bool {
        limits::is_fifo(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_url_tells_name_region_and_endpoint() {
        for (url, name, region, endpoint) in [
            ("https://sqs.eu-west-1.amazonaws.com/123456789012/jobs", "jobs", Some("eu-west-1"), None),
            ("https://us-east-1.queue.amazonaws.com/1/a.fifo", "a.fifo", Some("us-east-1"), None),
            ("https://sqs.cn-north-1.amazonaws.com.cn/1/a", "a", Some("cn-north-1"), None),
            ("http://127.0.0.1:4566/000000000000/jobs", "jobs", None, Some("http://127.0.0.1:4566")),
        ] {
            let address = QueueAddress::parse(url).unwrap();
            assert_eq!(
                (&*address.name, address.region.as_deref(), address.foreign_endpoint.as_deref()),
                (name, region, endpoint),
                "{url}"
            );
        }
        assert!(QueueAddress::parse("https://h/1/a.fifo").unwrap().is_fifo());
        let account = |url: &str| QueueAddress::parse(url).unwrap().account().map(ToOwned::to_owned);
        assert_eq!(account("https://h/123456789012/q/").as_deref(), Some("123456789012"));
        assert_eq!((account("https://h/queue/q"), account("https://h/q")), (None, None));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in ["", "jobs", "ftp://h/1/q", "https://", "https://h", "https://h/", "https://u:p@h/1/q"] {
            assert_eq!(QueueAddress::parse(url).unwrap_err().kind(), ErrorKind::InvalidConfig, "{url}");
        }
        for arn in
            ["", "arn:aws:sqs:r:1:q", "arn:aws:sns:r:1", "arn:aws:sns:r:1:t:subscription", "arn:aws:sns::1:t"]
        {
            assert_eq!(Arn::parse("sns", arn).unwrap_err().kind(), ErrorKind::InvalidConfig, "{arn}");
        }
        assert!(Arn::parse("sns", "arn:aws-cn:sns:cn-north-1:1:t.fifo").unwrap().is_fifo());
    }
}
