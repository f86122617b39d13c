//! `Proxy`: stands between a client and its server, and can make the connections it carries fall silent.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
}

impl Proxy {
    pub(crate) async fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("the port is bound");
        let (accepted, silent_below) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let proxy =
            Self { address, accepted: Arc::clone(&accepted), silent_below: Arc::clone(&silent_below) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = accepted.fetch_add(1, Ordering::SeqCst);
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port)).await else {
                    continue;
                };
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(carry(from_client, to_server, number, Arc::clone(&silent_below)));
                tokio::spawn(carry(from_server, to_client, number, Arc::clone(&silent_below)));
            }
        });
        proxy
    }

    /// Lets every connection there is fall silent, as when a network goes away; new ones work.
    pub(crate) fn silence(&self) {
        self.silent_below.store(self.accepted.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    number: usize,
    silent_below: Arc<AtomicUsize>,
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
        if !silent && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
