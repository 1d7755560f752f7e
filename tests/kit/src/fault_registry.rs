//! A registry in the process of the test. It serves OCI layouts over plain HTTP on loopback, and produces faults on
//! request.
//!
//! ```text
//!   OCI layout ──serve()──▶  /v2/NAME/manifests/{TAG,DIGEST}   /v2/NAME/blobs/DIGEST   (GET, HEAD, Range)
//!   fault()  ──────────────▶  the first fault whose text is in the path determines the response
//!   requests() ◀────────────  every request, in order of arrival
//! ```
//!
//! It needs no other program, so it works where nothing is installed.
//! [`DockerRegistry`](crate::registry::DockerRegistry) is the oracle for the protocol itself.

mod connection;
mod fault;
mod reply;
mod request;

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

pub use fault::Fault;
pub use request::Request;

use crate::KitError;

/// A running registry. Stops listening when dropped.
#[derive(Debug)]
pub struct FaultRegistry {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    stopped: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Repository to layout.
    layouts: BTreeMap<String, PathBuf>,
    faults: Vec<Armed>,
    requests: Vec<Request>,
    /// How often all faults were removed.
    heals: usize,
}

#[derive(Debug, Clone)]
struct Armed {
    part: String,
    fault: Fault,
    /// The number of remaining responses with the fault; `None`: all.
    left: Option<usize>,
}

impl FaultRegistry {
    /// Starts a registry without repositories.
    ///
    /// # Errors
    ///
    /// When no port of loopback is free.
    pub fn start() -> Result<FaultRegistry, KitError> {
        let listener =
            TcpListener::bind("127.0.0.1:0").map_err(KitError::io("bind", "127.0.0.1"))?;
        let address = listener
            .local_addr()
            .map_err(KitError::io("bind", "127.0.0.1"))?;
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if seen.stopped.load(Ordering::Acquire) {
                    return;
                }
                let seen = Arc::clone(&seen);
                // An error of a connection concerns the client alone.
                thread::spawn(move || drop(connection::serve(&socket, &seen)));
            }
        });
        Ok(FaultRegistry { address, shared })
    }

    /// Returns `127.0.0.1:PORT`, the first part of a reference.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Serves the OCI layout at `layout` as the repository `name`, with all of its tags. The directory is read on each
    /// request.
    pub fn serve(&self, name: &str, layout: &Path) {
        let mut state = self.shared.lock();
        state.layouts.insert(name.to_owned(), layout.to_owned());
    }

    /// Adds a fault for every request with `part` in its path. Earlier faults take precedence.
    pub fn fault(&self, part: &str, fault: Fault) {
        self.arm(part, fault, None);
    }

    /// Adds a fault as [`fault`](Self::fault) does, for the first `times` requests.
    pub fn fault_times(&self, part: &str, times: usize, fault: Fault) {
        self.arm(part, fault, Some(times));
    }

    /// Removes all faults.
    pub fn heal(&self) {
        let mut state = self.shared.lock();
        state.faults.clear();
        state.heals += 1;
    }

    /// Returns every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Returns the number of requests with `part` in their path.
    #[must_use]
    pub fn count(&self, part: &str) -> usize {
        let state = self.shared.lock();
        state
            .requests
            .iter()
            .filter(|request| request.path.contains(part))
            .count()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.lock().requests.clear();
    }

    fn arm(&self, part: &str, fault: Fault, left: Option<usize>) {
        let part = part.to_owned();
        self.shared.lock().faults.push(Armed { part, fault, left });
    }
}

impl Drop for FaultRegistry {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the listening thread, which then stops.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_fault(&mut self, path: &str) -> Option<Fault> {
        let armed = self
            .faults
            .iter_mut()
            .find(|armed| armed.left != Some(0) && path.contains(&armed.part))?;
        if let Some(left) = &mut armed.left {
            *left -= 1;
        }
        Some(armed.fault.clone())
    }
}
