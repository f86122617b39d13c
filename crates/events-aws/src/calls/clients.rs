//! The clients of SNS and SQS, and how they wait, retry and give up.

use std::fmt;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use events_core::Result;

use crate::address::{Arn, QueueAddress};
use crate::config::AwsConfig;

/// How long an idle connection is kept: less than load balancers do, so that none is used that they have dropped.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(3);

/// The region where an emulator is called and nobody names one; emulators take any.
const EMULATOR_REGION: &str = "us-east-1";

/// The variables in which the SDK looks for an endpoint, and for a region.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SNS", "AWS_ENDPOINT_URL_SQS"];
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// Connections to SNS and SQS, shared by whatever is made from them.
#[derive(Clone)]
pub struct AwsClients {
    pub(super) sqs: aws_sdk_sqs::Client,
    /// Receive calls have retries of their own: long polls that fail must not use up what publishing and settling may retry.
    pub(super) receiving: aws_sdk_sqs::Client,
    pub(super) sns: aws_sdk_sns::Client,
    /// How long an attempt of a receive call may take beyond the time it waits at the queue.
    pub(super) call_timeout: Duration,
}

impl fmt::Debug for AwsClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The SDK's own output is long and its content changes between versions.
        f.debug_struct("AwsClients").finish_non_exhaustive()
    }
}

impl AwsClients {
    /// Clients with credentials and region from the standard chain, as far as `config` does not name them.
    ///
    /// No connection is made and no credentials are asked for before the first call.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) for settings that break a rule.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn load(config: &AwsConfig) -> Result<Self> {
        config.validate()?;
        let address = config.queue_url.as_deref().map(QueueAddress::parse).transpose()?;
        let topic = config.topic_arn.as_deref().map(|arn| Arn::parse("sns", arn)).transpose()?;
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
        let named = config.region.clone();
        let named =
            named.or_else(|| topic.map(|arn| arn.region)).or_else(|| address.as_ref()?.region.clone());
        let foreign = address.and_then(|address| address.foreign_endpoint);
        let endpoint = config.endpoint_url.clone().or(foreign);
        if let Some(region) = named {
            loader = loader.region(Region::new(region));
        } else if (endpoint.is_some() || ENDPOINTS.iter().any(is_set))
            && config.profile.is_none()
            && !REGIONS.iter().any(is_set)
        {
            // Else the chain would go on to ask the machine's metadata service, which takes seconds to be absent.
            loader = loader.region(Region::new(EMULATOR_REGION));
        }
        if let Some(profile) = &config.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint) = endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let http = aws_smithy_http_client::Builder::new()
            .pool_idle_timeout(POOL_IDLE)
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .build_https();
        let sdk = Box::pin(loader.http_client(http).load()).await;
        Ok(Self::from_sdk_config(&sdk, config))
    }

    /// Clients that use an existing SDK configuration: its credentials, region, endpoint and HTTP client.
    ///
    /// Timeouts are those of `config`; its region, endpoint and profile are not looked at.
    pub fn from_sdk_config(sdk: &SdkConfig, config: &AwsConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT.min(config.call_timeout))
            .operation_attempt_timeout(config.call_timeout)
            .operation_timeout(config.publish_timeout)
            .build();
        let sqs = aws_sdk_sqs::config::Builder::from(sdk).timeout_config(timeouts.clone()).build();
        let receiving = aws_sdk_sqs::config::Builder::from(sdk)
            // A receive call that failed is made again by the consumer, which knows whether anybody still wants it.
            .retry_config(RetryConfig::disabled())
            .retry_partition(RetryPartition::new("events-aws-receive"))
            .build();
        let sns = aws_sdk_sns::config::Builder::from(sdk).timeout_config(timeouts).build();
        Self {
            sqs: aws_sdk_sqs::Client::from_conf(sqs),
            receiving: aws_sdk_sqs::Client::from_conf(receiving),
            sns: aws_sdk_sns::Client::from_conf(sns),
            call_timeout: config.call_timeout,
        }
    }

    /// The timeouts of a receive call that waits at the queue for `wait`.
    pub(super) fn receive_timeouts(&self, wait: Duration) -> aws_sdk_sqs::config::Builder {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT.min(self.call_timeout))
            .operation_attempt_timeout(wait + self.call_timeout)
            .build();
        aws_sdk_sqs::config::Builder::new().timeout_config(timeouts)
    }
}
