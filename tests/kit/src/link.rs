//! A slow or faulty connection between a client and a server: a TCP proxy on loopback.
//!
//! ```text
//!   client ──▶ Link::host() ══ bytes_per_sec, cut_after: for each connection, server to client ══▶ server
//! ```

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::KitError;

/// Bytes that are forwarded at once.
const PIECE_BYTES: usize = 32 << 10;

/// What a link does to each connection, in the direction from the server to the client. The default is nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct LinkOptions {
    /// Bytes per second.
    pub bytes_per_sec: Option<u64>,
    /// Closes the connection after this many bytes.
    pub cut_after: Option<u64>,
}

/// A running proxy. Stops listening when dropped; open connections continue.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    connections: AtomicUsize,
    open: AtomicUsize,
    peak: AtomicUsize,
    bytes: AtomicU64,
}

impl Link {
    /// Starts a proxy in front of `server`, given as `HOST:PORT`.
    ///
    /// # Errors
    ///
    /// When no port of loopback is free.
    pub fn start(server: &str, options: LinkOptions) -> Result<Link, KitError> {
        let listener =
            TcpListener::bind("127.0.0.1:0").map_err(KitError::io("bind", "127.0.0.1"))?;
        let address = listener
            .local_addr()
            .map_err(KitError::io("bind", "127.0.0.1"))?;
        let shared = Arc::new(Shared::default());
        let (seen, server) = (Arc::clone(&shared), server.to_owned());
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if seen.stopped.load(Ordering::Acquire) {
                    return;
                }
                let (seen, server) = (Arc::clone(&seen), server.clone());
                // An error of a connection concerns the client alone.
                thread::spawn(move || drop(connect(&client, &server, options, &seen)));
            }
        });
        Ok(Link { address, shared })
    }

    /// Returns `127.0.0.1:PORT`, the first part of a reference.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns the number of connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Returns the number of connections that are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Returns the largest number of connections that were open at once.
    #[must_use]
    pub fn peak_connections(&self) -> usize {
        self.shared.peak.load(Ordering::SeqCst)
    }

    /// Returns the number of bytes that were sent to clients, headers included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the listening thread, which then stops.
        let _ = TcpStream::connect(self.address);
    }
}

struct Open<'a>(&'a Shared);

impl<'a> Open<'a> {
    fn count(shared: &'a Shared) -> Self {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
        shared.peak.fetch_max(open, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn connect(
    client: &TcpStream,
    server: &str,
    options: LinkOptions,
    shared: &Shared,
) -> io::Result<()> {
    let _open = Open::count(shared);
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    thread::scope(|scope| {
        scope.spawn(|| {
            // Ends when the client closes, and ends the other direction with it.
            let _ = io::copy(&mut &*client, &mut &server);
            let _ = server.shutdown(Shutdown::Both);
        });
        let forwarded = forward(&server, client, options, shared);
        // An orderly end: the client receives what was sent before.
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
        forwarded
    })
}

fn forward(
    mut server: &TcpStream,
    mut client: &TcpStream,
    options: LinkOptions,
    shared: &Shared,
) -> io::Result<()> {
    let mut left = options.cut_after.unwrap_or(u64::MAX);
    let mut buffer = vec![0; PIECE_BYTES];
    // When the next piece may be sent.
    let mut due = Instant::now();
    while left > 0 {
        let most = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        let count = server.read(&mut buffer[..most])?;
        if count == 0 {
            return Ok(());
        }
        if let Some(rate) = options.bytes_per_sec {
            let now = Instant::now();
            thread::sleep(due.saturating_duration_since(now));
            // Time in which the server had nothing to send is not made up for.
            due = due.max(now) + Duration::from_secs(1).mul_f64(count as f64 / rate.max(1) as f64);
        }
        client.write_all(&buffer[..count])?;
        shared.bytes.fetch_add(count as u64, Ordering::SeqCst);
        left -= count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_cuts_after_its_bytes_and_delivers_those() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            while let Ok((mut socket, _)) = listener.accept() {
                let _ = socket.write_all(&vec![7; 1 << 20]);
            }
        });
        let options = LinkOptions {
            bytes_per_sec: Some(10 << 20),
            cut_after: Some(100_001),
        };
        let link = Link::start(&server, options).unwrap();
        for round in 1..=3_u64 {
            let mut received = Vec::new();
            let mut socket = TcpStream::connect(link.host()).unwrap();
            socket.read_to_end(&mut received).unwrap();
            assert_eq!(received, vec![7; 100_001]);
            assert_eq!(link.bytes(), round * 100_001);
        }
        assert_eq!(link.connections(), 3);
    }
}
