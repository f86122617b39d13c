//! `Scripted`: a service that answers as a test tells it, for answers no emulator gives.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::query;

/// Status and body for an operation, such as `SendMessageBatch`, and its JSON.
type Script = dyn FnMut(&str, &Value) -> (u16, Value) + Send;

/// Speaks the JSON protocol of SQS over HTTP, and that of SNS where it is called by it, and answers by a script.
#[derive(Debug)]
pub(crate) struct Scripted {
    address: SocketAddr,
}

impl Scripted {
    pub(crate) async fn start(script: impl FnMut(&str, &Value) -> (u16, Value) + Send + 'static) -> Self {
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(script));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("the port is bound");
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&script)));
            }
        });
        Self { address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(mut connection: TcpStream, script: Arc<Mutex<Script>>) -> Option<()> {
    let (from, mut to) = connection.split();
    let mut from = BufReader::new(from);
    loop {
        let (mut operation, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if from.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(target) = line.strip_prefix("x-amz-target: amazonsqs.") {
                operation = target.to_owned();
            } else if let Some(bytes) = line.strip_prefix("content-length: ") {
                length = bytes.parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body).await.ok()?;
        let is_json = !operation.is_empty();
        let request = if is_json {
            serde_json::from_slice(&body).ok()?
        } else {
            let form = query::request(std::str::from_utf8(&body).ok()?);
            operation = form.0;
            form.1
        };
        let (status, answer) = script.lock().ok()?(&operation, &request);
        let answer = if is_json { answer.to_string() } else { query::answer(status, &answer) };
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        to.write_all(head.as_bytes()).await.ok()?;
        to.write_all(answer.as_bytes()).await.ok()?;
    }
}
