//! An axum server on threads of its own.
//!
//! Invariant: when [`Server::stop`] returns, the port is closed and every connection is cut. A
//! graceful shutdown would leave keep-alive connections open, and a test that takes the identity
//! provider down means down.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use axum::Router;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

/// Connections that wait to be accepted. Requests that an Envoy let go all at once bring as many at once; what is beyond
/// this is dropped, and asked for again after a second, then two, then four: too late for `connect_timeout`.
const BACKLOG: u32 = 4096;

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
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("testbed-server")
            .enable_all()
            .build()?;
        let listener = {
            let _of_this_runtime = runtime.enter();
            listen(address)
                .map_err(|e| io::Error::new(e.kind(), format!("cannot listen on {address}: {e}")))?
        };
        let address = listener.local_addr()?;
        let router = router(address);
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name(format!("testbed-{}", address.port()))
            .spawn(move || {
                runtime.block_on(async move {
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

/// Binds as [`std::net::TcpListener`] does, whose backlog is 128.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
    }
}
