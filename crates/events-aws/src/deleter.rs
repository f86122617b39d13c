//! Deletes acknowledged messages: acknowledgements that come at the same time share calls.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::batched::Change;
use crate::calls::AwsClients;
use crate::error::{CallError, Code};
use crate::limits;

/// Delete calls of one consumer on their way at a time.
const CONCURRENCY: usize = 8;

/// A message to be deleted, and who wants to know.
struct Request {
    handle: String,
    answer: oneshot::Sender<Result<(), CallError>>,
}

/// Deletes messages of one queue in the background of its callers.
///
/// There is no timer: a call goes out at once while fewer than eight are on their way, and what comes while they are
/// is sent together.
#[derive(Debug)]
pub(crate) struct Deleter {
    requests: mpsc::UnboundedSender<Request>,
    queue: Arc<str>,
}

impl Deleter {
    /// Starts the task that sends; it ends with the deleter.
    pub(crate) fn start(clients: AwsClients, queue: &str) -> Self {
        let (requests, received) = mpsc::unbounded_channel();
        let queue: Arc<str> = queue.into();
        tokio::spawn(run(clients, Arc::clone(&queue), received));
        Self { requests, queue }
    }

    /// Deletes messages. One that is not there any more is as deleted as it can be.
    pub(crate) async fn delete(&self, handles: impl Iterator<Item = String>) -> Vec<Result<(), CallError>> {
        let mut answers = Vec::new();
        for handle in handles {
            let (answer, answered) = oneshot::channel();
            // A task that is gone drops the request, and its answer with it.
            drop(self.requests.send(Request { handle, answer }));
            answers.push(answered);
        }
        let mut outcomes = Vec::with_capacity(answers.len());
        for answered in answers {
            let gone = |_| Err(CallError::out_of_time("DeleteMessageBatch", &self.queue));
            outcomes.push(answered.await.unwrap_or_else(gone));
        }
        outcomes
    }
}

async fn run(clients: AwsClients, queue: Arc<str>, mut requests: mpsc::UnboundedReceiver<Request>) {
    let permits = Arc::new(Semaphore::new(CONCURRENCY));
    let mut batch = Vec::with_capacity(limits::BATCH_ENTRIES);
    while requests.recv_many(&mut batch, limits::BATCH_ENTRIES).await > 0 {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        // While there was no permit more may have come.
        while batch.len() < limits::BATCH_ENTRIES
            && let Ok(request) = requests.try_recv()
        {
            batch.push(request);
        }
        let sent = std::mem::replace(&mut batch, Vec::with_capacity(limits::BATCH_ENTRIES));
        let (clients, queue) = (clients.clone(), Arc::clone(&queue));
        tokio::spawn(async move {
            let _permit = permit;
            send(&clients, &queue, sent).await;
        });
    }
}

async fn send(clients: &AwsClients, queue: &str, requests: Vec<Request>) {
    let (handles, answers): (Vec<String>, Vec<_>) =
        requests.into_iter().map(|request| (request.handle, request.answer)).unzip();
    let outcomes = Change::Delete(&handles).make(clients, queue).await;
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        let outcome = match outcome {
            Err(error) if error.code() == Code::HandleGone => Ok(()),
            outcome => outcome,
        };
        // Whoever asked may have stopped waiting; the message is deleted all the same.
        drop(answer.send(outcome));
    }
}
