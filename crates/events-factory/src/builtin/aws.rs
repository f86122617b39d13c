//! `sns:<topic arn>` and `sqs:<queue url>`: SNS to publish, SQS to consume.

use std::sync::Arc;

use events_aws::{AwsClients, AwsConfig, AwsPublisher, Setup, SqsAdmin, SqsConsumer};
use events_core::{ConsumerOptions, EventAdmin, EventConsumer, EventPublisher, Result, async_trait};

use crate::{Backend, Ensure, Target};

#[derive(Debug)]
pub(super) struct Aws;

#[async_trait]
impl Backend for Aws {
    fn name(&self) -> &str {
        "aws"
    }

    fn schemes(&self) -> &[&str] {
        super::AWS
    }

    async fn publisher(&self, target: &Target<'_>) -> Result<Arc<dyn EventPublisher>> {
        Ok(Arc::new(AwsPublisher::connect(settings(target)).await?.with_encoding(target.config.encoding)?))
    }

    async fn consumer(
        &self,
        target: &Target<'_>,
        options: ConsumerOptions,
    ) -> Result<Box<dyn EventConsumer>> {
        Ok(Box::new(SqsConsumer::connect(settings(target), options).await?))
    }

    async fn admin(&self, target: &Target<'_>) -> Result<Arc<dyn EventAdmin>> {
        Ok(Arc::new(SqsAdmin::connect(settings(target)).await?))
    }

    async fn ensure(&self, target: &Target<'_>, how: Ensure) -> Result<Vec<String>> {
        let mut settings = settings(target);
        // A queue in the URL is published to directly, but it may be subscribed to the topic of the section besides.
        settings.topic_arn = settings.topic_arn.or_else(|| target.config.aws.topic_arn.clone());
        let mut setup = Setup::of(&settings)?.with_max_deliveries(target.config.max_deliveries.get());
        if let Some(lease) = target.config.lease {
            setup = setup.with_lease(lease);
        }
        let clients = AwsClients::load(&settings).await?;
        let ensured = match how {
            Ensure::Plan => setup.plan(&clients).await?,
            Ensure::Apply => setup.ensure(&clients).await?,
        };
        Ok(ensured.steps.iter().map(ToString::to_string).collect())
    }
}

/// The section's settings, for the topic or the queue the URL names.
///
/// With a topic in the URL, the section's `queue_url` says where to consume. A queue in the URL serves both ends, so that
/// the URL means the same whatever the section holds.
fn settings(target: &Target<'_>) -> AwsConfig {
    let mut settings = target.config.aws.clone();
    let (scheme, address) = target.url.expose().split_once(':').unwrap_or_default();
    if scheme == "sns" {
        settings.topic_arn = Some(address.to_owned());
    } else {
        settings.topic_arn = None;
        settings.queue_url = Some(address.to_owned());
    }
    if let Some(limit) = target.config.max_event_bytes {
        settings.max_message_bytes = Some(limit.get());
    }
    settings
}
