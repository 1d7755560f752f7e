//! The hosts that are tried for one request, one after the other.

use std::sync::Arc;
use std::time::Duration;

use msb_oci::Digest;

use super::health::Turn;
use super::upstream::Upstream;
use crate::error::Error;

/// The hosts that may serve a request, in order, and the errors of those that did not.
///
/// ```text
///   hosts in place, in the order of the settings ──▶ resting hosts, only where no server has answered
/// ```
#[derive(Debug)]
pub(super) struct Candidates {
    /// Hosts that are still to be tried, the next one last.
    left: Vec<Candidate>,
    /// Errors of the hosts that were tried.
    failures: Vec<Error>,
    /// The error of the registry's own server.
    server_failure: Option<Error>,
    host_rest: Duration,
}

/// A host to try.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) upstream: Arc<Upstream>,
    /// Whether the host is left soon where it does not answer.
    pub(super) is_guarded: bool,
    is_resting: bool,
}

impl Candidate {
    /// Returns a host that is tried alone.
    pub(super) fn alone(upstream: &Arc<Upstream>) -> Self {
        Self {
            upstream: Arc::clone(upstream),
            is_guarded: false,
            is_resting: false,
        }
    }
}

impl Candidates {
    /// Orders `hosts`, with the turn of each.
    pub(super) fn new(hosts: Vec<(Arc<Upstream>, Turn)>, host_rest: Duration) -> Self {
        let in_place = hosts.iter().filter(|(_, turn)| *turn == Turn::InPlace);
        let resting = hosts.iter().filter(|(_, turn)| *turn != Turn::InPlace);
        let count = hosts.len();
        let mut left: Vec<Candidate> = in_place
            .chain(resting)
            .enumerate()
            .map(|(index, (upstream, turn))| {
                let is_resting = *turn != Turn::InPlace;
                Candidate {
                    upstream: Arc::clone(upstream),
                    is_guarded: index + 1 < count || (is_resting && count > 1),
                    is_resting,
                }
            })
            .collect();
        left.reverse();
        Self {
            left,
            failures: Vec::new(),
            server_failure: None,
            host_rest,
        }
    }

    /// Leaves out hosts that served wrong bytes for `digest`, unless there are no others.
    pub(super) fn leave_out(&mut self, digest: &Digest) {
        let is_rejected = |candidate: &Candidate| candidate.upstream.is_rejected(digest);
        if !self.left.iter().all(is_rejected) {
            self.left.retain(|candidate| !is_rejected(candidate));
        }
    }

    /// Returns the next host.
    ///
    /// # Errors
    ///
    /// The errors of all hosts, if none is left.
    pub(super) fn next(&mut self) -> Result<Candidate, Error> {
        match self.left.pop() {
            // A server's refusal is not worth waiting for a host that failed before.
            Some(next) if !(next.is_resting && self.is_refused()) => Ok(next),
            _ => Err(self.failed()),
        }
    }

    /// Notes that `candidate` failed.
    ///
    /// # Errors
    ///
    /// `error`, if no other host would do better.
    pub(super) fn fail(&mut self, candidate: &Candidate, error: Error) -> Result<(), Error> {
        if error.is_local() {
            return Err(error);
        }
        let upstream = &candidate.upstream;
        if error.is_of_whole_host() && (candidate.is_guarded || !self.failures.is_empty()) {
            upstream.health.rest(self.host_rest);
        }
        if !self.left.is_empty() {
            tracing::info!(%error, "trying the next host");
        }
        if upstream.is_mirror {
            self.failures.push(error);
        } else {
            self.server_failure = Some(error);
        }
        Ok(())
    }

    fn is_refused(&self) -> bool {
        self.server_failure.as_ref().is_some_and(Error::is_answer)
    }

    fn failed(&mut self) -> Error {
        let mut failures = std::mem::take(&mut self.failures);
        failures.extend(self.server_failure.take());
        if failures.len() == 1 {
            // OK because of the length.
            failures.swap_remove(0)
        } else {
            Error::Hosts { failures }
        }
    }
}
