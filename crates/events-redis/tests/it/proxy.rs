//! `Proxy`: stands between a client and its server, and can make the connections it carries fall silent, lose an answer
//! with its connection, or lead to another server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Stands between a client and its server.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// How many connections there have been.
    accepted: Arc<AtomicUsize>,
    /// Connections of a lower number carry nothing any more, and stay open.
    silent_below: Arc<AtomicUsize>,
    /// Where new connections lead.
    server_port: Arc<AtomicU16>,
    /// Whether the next answer is lost, and its connection with it.
    losing: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("the port is bound");
        let (accepted, silent_below) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (server_port, losing) = (Arc::new(AtomicU16::new(server_port)), Arc::new(AtomicBool::new(false)));
        let proxy = Self {
            address,
            accepted: Arc::clone(&accepted),
            silent_below: Arc::clone(&silent_below),
            server_port: Arc::clone(&server_port),
            losing: Arc::clone(&losing),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = accepted.fetch_add(1, Ordering::SeqCst);
                let Ok(server) =
                    TcpStream::connect((Ipv4Addr::LOCALHOST, server_port.load(Ordering::SeqCst))).await
                else {
                    continue;
                };
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(carry(from_client, to_server, number, Arc::clone(&silent_below), None));
                tokio::spawn(carry(
                    from_server,
                    to_client,
                    number,
                    Arc::clone(&silent_below),
                    Some(Arc::clone(&losing)),
                ));
            }
        });
        proxy
    }

    /// Lets every connection there is fall silent, as when a network goes away; new ones work.
    pub(crate) fn silence(&self) {
        self.silent_below.store(self.accepted.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Loses the next answer of the server, and its connection with it.
    pub(crate) fn lose_an_answer(&self) {
        self.losing.store(true, Ordering::SeqCst);
    }

    /// Whether an answer is still to be lost.
    pub(crate) fn is_losing(&self) -> bool {
        self.losing.load(Ordering::SeqCst)
    }

    /// Leads connections that are made from now on to another server.
    pub(crate) fn redirect(&self, server_port: u16) {
        self.server_port.store(server_port, Ordering::SeqCst);
    }
}

/// Carries bytes one way until either side ends.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    number: usize,
    silent_below: Arc<AtomicUsize>,
    losing: Option<Arc<AtomicBool>>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count) = from.read(&mut bytes).await {
        let silent = number < silent_below.load(Ordering::SeqCst);
        if count == 0 {
            if silent {
                // Not even the end of the connection gets through.
                std::future::pending::<()>().await;
            }
            return;
        }
        if losing.as_ref().is_some_and(|losing| losing.swap(false, Ordering::SeqCst)) {
            // The server has done what it was told; whoever told it meets the end of the connection.
            return;
        }
        if !silent && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
