//! What a delivery tells its settler, and when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use events_core::{
    Delivery, DeliveryParts, Error, ErrorKind, Event, EventConsumer, EventConsumerExt, Receipt, Result,
    Settlement, Settler, ack_all, async_trait, extend_all, release_all,
};
use futures_util::StreamExt;
use serde_json::json;

/// Writes down what it is asked for, and refuses what it is told to refuse.
#[derive(Debug, Default)]
struct Recorder {
    calls: Mutex<Vec<(Vec<String>, String)>>,
    abandoned: Mutex<Vec<String>>,
    refuse: Mutex<Vec<String>>,
}

impl Recorder {
    fn delivery(self: &Arc<Self>, id: &str) -> Delivery {
        Delivery::new(DeliveryParts {
            event: Event::new("a.b", "s", json!({})).unwrap(),
            receipt: Receipt { message_id: id.into(), attempt: 1, handle: None },
            stream: "k".into(),
            published_at: None,
            settler: Arc::<Self>::clone(self),
        })
    }

    fn calls(&self) -> Vec<(Vec<String>, String)> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn abandoned(&self) -> Vec<String> {
        std::mem::take(&mut self.abandoned.lock().unwrap())
    }

    fn record(&self, receipts: &[Receipt], what: String) -> Vec<Result<()>> {
        let ids: Vec<String> = receipts.iter().map(|receipt| receipt.message_id.to_string()).collect();
        let refuse = self.refuse.lock().unwrap();
        let outcomes = ids
            .iter()
            .map(|id| match refuse.contains(id) {
                true => Err(Error::new(ErrorKind::Unavailable, "settle", "refused")),
                false => Ok(()),
            })
            .collect();
        self.calls.lock().unwrap().push((ids, what));
        outcomes
    }
}

#[async_trait]
impl Settler for Recorder {
    async fn settle(&self, receipts: &[Receipt], settlement: &Settlement) -> Vec<Result<()>> {
        tokio::task::yield_now().await;
        self.record(receipts, format!("{settlement:?}"))
    }

    async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<()>> {
        self.record(receipts, format!("extend {lease:?}"))
    }

    fn abandon(&self, receipt: &Receipt) {
        self.abandoned.lock().unwrap().push(receipt.message_id.to_string());
    }
}

#[tokio::test]
async fn each_settlement_is_one_call_and_abandons_nothing() {
    let recorder = Arc::new(Recorder::default());
    recorder.delivery("1").ack().await.unwrap();
    recorder.delivery("2").nack_after(Duration::from_secs(3)).await.unwrap();
    recorder.delivery("3").fail("broken", Duration::ZERO).await.unwrap();
    recorder.delivery("4").release().await.unwrap();
    recorder.delivery("5").reject("hopeless").await.unwrap();
    let words: Vec<String> = recorder.calls().into_iter().map(|(_, what)| what).collect();
    let expected = [
        Settlement::Ack,
        Settlement::Nack { delay: Duration::from_secs(3), error: None },
        Settlement::Nack { delay: Duration::ZERO, error: Some("broken".into()) },
        Settlement::Release,
        Settlement::Reject { reason: "hopeless".into() },
    ];
    assert_eq!(words, expected.map(|settlement| format!("{settlement:?}")));
    assert!(recorder.abandoned().is_empty());
}

#[tokio::test]
async fn a_dropped_delivery_is_abandoned_and_not_settled() {
    let recorder = Arc::new(Recorder::default());
    drop(recorder.delivery("1"));
    drop(recorder.delivery("2").into_event());
    assert_eq!(recorder.abandoned(), ["1", "2"]);
    assert!(recorder.calls().is_empty());
}

#[tokio::test]
async fn release_all_is_one_call_per_consumer_and_gives_back_what_failed() {
    let recorder = Arc::new(Recorder::default());
    recorder.refuse.lock().unwrap().push("2".to_owned());
    let failed = release_all(["1", "2", "3"].map(|id| recorder.delivery(id)).into()).await;
    let failed: Vec<_> = failed.into_iter().map(|(delivery, error)| (delivery, error.kind())).collect();
    assert_eq!(failed.iter().map(|(_, kind)| *kind).collect::<Vec<_>>(), [ErrorKind::Unavailable]);
    let released = (["1", "2", "3"].map(str::to_owned).to_vec(), format!("{:?}", Settlement::Release));
    assert_eq!(recorder.calls(), [released]);
    drop(failed);
    assert_eq!(recorder.abandoned(), ["2"]);
}

#[tokio::test]
async fn extend_all_is_one_call_per_consumer_and_answers_in_order() {
    let (one, two) = (Arc::new(Recorder::default()), Arc::new(Recorder::default()));
    one.refuse.lock().unwrap().push("2".to_owned());
    let deliveries = [one.delivery("1"), two.delivery("a"), one.delivery("2"), two.delivery("b")];
    let extending = extend_all(&deliveries, Duration::from_secs(9));
    // The future needs the deliveries no more than their settling does.
    drop(deliveries);
    let outcomes: Vec<_> =
        extending.await.into_iter().map(|outcome| outcome.map_err(|error| error.kind())).collect();
    assert_eq!(outcomes, [Ok(()), Ok(()), Err(ErrorKind::Unavailable), Ok(())]);
    let extended = |ids: [&str; 2]| (ids.map(str::to_owned).to_vec(), "extend 9s".to_owned());
    assert_eq!((one.calls(), two.calls()), (vec![extended(["1", "2"])], vec![extended(["a", "b"])]));
    assert!(extend_all([], Duration::ZERO).await.is_empty());
}

#[tokio::test]
async fn extending_keeps_the_delivery() {
    let recorder = Arc::new(Recorder::default());
    let delivery = recorder.delivery("1");
    delivery.extend(Duration::from_secs(9)).await.unwrap();
    assert!(recorder.abandoned().is_empty());
    delivery.ack().await.unwrap();
    assert_eq!(recorder.calls().len(), 2);
}

#[tokio::test]
async fn a_settlement_that_fails_or_is_cancelled_abandons() {
    let recorder = Arc::new(Recorder::default());
    recorder.refuse.lock().unwrap().push("1".into());
    assert_eq!(recorder.delivery("1").ack().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(recorder.abandoned(), ["1"]);

    let mut cancelled = Box::pin(recorder.delivery("2").ack());
    assert!(futures_util::poll!(&mut cancelled).is_pending());
    drop(cancelled);
    assert_eq!(recorder.abandoned(), ["2"]);
    drop(recorder.delivery("3").ack());
    assert_eq!(recorder.abandoned(), ["3"]);
}

#[tokio::test]
async fn ack_all_is_one_call_per_consumer_and_gives_back_what_failed() {
    let (left, right) = (Arc::new(Recorder::default()), Arc::new(Recorder::default()));
    left.refuse.lock().unwrap().push("3".into());
    let deliveries = vec![left.delivery("1"), right.delivery("2"), left.delivery("3"), right.delivery("4")];
    let report = ack_all(deliveries).await;
    assert_eq!(report.acked, 3);
    assert_eq!(left.calls(), [(vec!["1".to_owned(), "3".to_owned()], "Ack".to_owned())]);
    assert_eq!(right.calls(), [(vec!["2".to_owned(), "4".to_owned()], "Ack".to_owned())]);

    left.refuse.lock().unwrap().clear();
    let again: Vec<Delivery> = report.failed.into_iter().map(|(delivery, _)| delivery).collect();
    assert_eq!(again[0].message_id().as_str(), "3");
    assert!(left.abandoned().is_empty(), "what failed is still in hand");
    assert_eq!(ack_all(again).await.into_result().unwrap(), 1);
    assert_eq!(ack_all(Vec::new()).await.into_result().unwrap(), 0);
}

/// Gives what it was told to give, in turn; then it is closed.
#[derive(Debug)]
struct Scripted(std::collections::VecDeque<Result<Vec<Delivery>>>);

#[async_trait]
impl EventConsumer for Scripted {
    fn capabilities(&self) -> events_core::Capabilities {
        events_core::Capabilities::default()
    }

    async fn receive(&mut self, _: std::num::NonZeroUsize, _: Duration) -> Result<Vec<Delivery>> {
        self.0.pop_front().unwrap_or_else(|| Err(Error::closed("receive")))
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn next_waits_through_empty_answers() {
    let recorder = Arc::new(Recorder::default());
    let mut consumer = Scripted([Ok(vec![]), Ok(vec![recorder.delivery("7")])].into());
    assert_eq!(consumer.next().await.unwrap().message_id().as_str(), "7");
    assert_eq!(consumer.next().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_stream_yields_transient_errors_and_ends_when_closed() {
    let recorder = Arc::new(Recorder::default());
    let away = Error::new(ErrorKind::Unavailable, "receive", "away");
    let consumer = Scripted(
        [
            Ok(vec![recorder.delivery("1"), recorder.delivery("2")]),
            Err(away),
            Ok(vec![recorder.delivery("3")]),
        ]
        .into(),
    );
    let items: Vec<_> = consumer.into_stream(std::num::NonZeroUsize::MIN).collect().await;
    let seen: Vec<String> = items
        .iter()
        .map(|item| match item {
            Ok(delivery) => delivery.message_id().to_string(),
            Err(error) => format!("{:?}", error.kind()),
        })
        .collect();
    assert_eq!(seen, ["1", "2", "Unavailable", "3"]);
}
