//! `/livez`, `/readyz` and `/metrics` over HTTP.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::{Exporter, Health};

/// How long a client may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause after a connection could not be taken, as when there are no more file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// How often what was measured is sorted away where nobody asks for it.
const UPKEEP: Duration = Duration::from_secs(10);

/// Answers `GET` of `/livez`, `/readyz` and `/metrics` for as long as it is awaited.
///
/// `/livez` says that the process runs; `/readyz` is 200 or 503 with the reasons, as JSON; `/metrics` is text for Prometheus.
/// What is said is not secret, but nobody's business either: bind to a loopback address, or to one only the operator reaches.
///
/// # Cancel safety
///
/// Dropping the future stops listening; answers on their way are finished.
pub async fn serve(listener: TcpListener, health: Health, exporter: Exporter) {
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = upkeep.tick() => {
                exporter.run_upkeep();
                continue;
            }
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("a connection could not be taken: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (health, exporter) = (health.clone(), exporter.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer(request.method(), request.uri().path(), &health, &exporter);
            async move { Ok::<_, Infallible>(answer) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a request was cut short: {error}");
            }
        });
    }
}

fn answer(method: &Method, path: &str, health: &Health, exporter: &Exporter) -> Response<Full<Bytes>> {
    const JSON: &str = "application/json";
    const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
    let (status, content_type, body) = match path {
        _ if method != Method::GET && method != Method::HEAD => {
            (StatusCode::METHOD_NOT_ALLOWED, JSON, r#"{"error":"only GET and HEAD"}"#.to_owned())
        }
        "/livez" => (StatusCode::OK, JSON, r#"{"alive":true}"#.to_owned()),
        "/readyz" => {
            let readiness = health.readiness();
            let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            let body = serde_json::json!({"ready": readiness.is_ready(), "reasons": readiness.reasons});
            (status, JSON, body.to_string())
        }
        "/metrics" => (StatusCode::OK, PROMETHEUS, exporter.render()),
        _ => {
            let body = r#"{"error":"there are /livez, /readyz and /metrics"}"#;
            (StatusCode::NOT_FOUND, JSON, body.to_owned())
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    response
}
