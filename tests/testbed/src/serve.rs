//! An axum server on threads of its own.
//!
//! Invariant: when [`Server::stop`] returns, the port is closed and every connection is cut. A
//! graceful shutdown would leave keep-alive connections open, and a test that takes the identity
//! provider down means down.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use axum::Router;
use tokio::sync::oneshot;

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds `address` (port 0 for a free one), then serves what `router` makes of the real
    /// address.
    ///
    /// # Errors
    /// When the address cannot be bound; the message names it.
    pub fn start(
        address: SocketAddr,
        router: impl FnOnce(SocketAddr) -> Router,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)
            .map_err(|e| io::Error::new(e.kind(), format!("cannot listen on {address}: {e}")))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let router = router(address);
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("testbed-server")
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name(format!("testbed-{}", address.port()))
            .spawn(move || {
                runtime.block_on(async move {
                    let listener = tokio::net::TcpListener::from_std(listener)
                        .expect("a listener made for this runtime");
                    tokio::select! {
                        served = axum::serve(listener, router) => served.expect("axum serves"),
                        _ = stopped => {}
                    }
                });
                // Dropping the runtime drops the connections' tasks, and so their sockets.
                drop(runtime);
            })?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address it listens on, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port and cuts all connections; returns when that is done.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
    }
}
