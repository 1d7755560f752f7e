use clap::ValueEnum;

use super::model::{Job, Resource, ends};

/// How an image reaches the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Topology {
    /// Every host asks the registry
    Registry,
    /// Every host asks one of several pull-through mirrors, each of which asks the registry once
    Mirrors,
    /// Hosts pass the blobs on to each other, as Dragonfly does; the registry sends them once
    Peers,
    /// One host pulls into a shared folder, which the others read (`--cache-from`)
    Folder,
}

/// The fleet and its links.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fleet {
    pub(super) hosts: usize,
    /// Bytes per second into, and out of, a host.
    pub(super) host_link: f64,
    /// Bytes per second out of the registry.
    pub(super) registry_link: f64,
    /// Bytes per second out of a mirror, or of the server of the shared folder.
    pub(super) mirror_link: f64,
    pub(super) mirrors: usize,
    /// The cores of a host.
    pub(super) cores: f64,
}

/// What a pull on one host takes, as it was measured.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pull {
    pub(super) wall_s: f64,
    pub(super) cpu_s: f64,
    /// Bytes of all blobs.
    pub(super) blob_bytes: f64,
    /// Bytes that a host reads of a shared folder before its guest boots: records, sidecars' ends and merged metadata.
    pub(super) shared_bytes: f64,
    /// Requests to the registry.
    pub(super) requests: f64,
}

/// What a fleet takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prediction {
    /// Until the last host has the image.
    pub(super) last_s: f64,
    pub(super) registry_bytes: f64,
    /// Of all mirrors, or of the server of the shared folder.
    pub(super) mirror_bytes: f64,
    /// From host to host.
    pub(super) peer_bytes: f64,
    pub(super) registry_requests: f64,
}

impl Topology {
    pub(super) fn predict(self, fleet: &Fleet, pull: &Pull) -> Prediction {
        let hosts = count(fleet.hosts);
        let mirrors = count(fleet.mirrors.clamp(1, fleet.hosts.max(1)));
        let blobs = pull.blob_bytes;
        let (last_s, registry_bytes, mirror_bytes, peer_bytes, registry_requests) = match self {
            Self::Registry => {
                let last = last(fleet, pull, &[fleet.registry_link], |_| vec![(0, blobs)]);
                (last, blobs * hosts, 0.0, 0.0, pull.requests * hosts)
            }
            Self::Mirrors => {
                let mut links = vec![fleet.registry_link];
                links.resize(1 + fleet.mirrors.max(1), fleet.mirror_link);
                // The hosts of a mirror progress with its own download, so each has a share of that.
                let share = blobs * mirrors / hosts;
                let last = last(fleet, pull, &links, |host| {
                    vec![(0, share), (1 + host % fleet.mirrors.max(1), blobs)]
                });
                (
                    last,
                    blobs * mirrors,
                    blobs * hosts,
                    0.0,
                    pull.requests * mirrors,
                )
            }
            Self::Peers => {
                let links = [fleet.registry_link, fleet.host_link * hosts];
                let share = blobs / hosts;
                let last = last(fleet, pull, &links, |_| {
                    vec![(0, share), (1, blobs - share)]
                });
                (last, blobs, 0.0, blobs * (hosts - 1.0), pull.requests)
            }
            Self::Folder => {
                let one = Fleet { hosts: 1, ..*fleet };
                let filled = last(&one, pull, &[fleet.registry_link], |_| vec![(0, blobs)]);
                let reader = Pull {
                    // A warm pull: the fixed part of a pull is less than this.
                    wall_s: 0.01,
                    cpu_s: 0.01,
                    blob_bytes: pull.shared_bytes,
                    ..*pull
                };
                let bytes = pull.shared_bytes;
                let read = last(fleet, &reader, &[fleet.mirror_link], |_| vec![(0, bytes)]);
                (filled + read, blobs, bytes * hosts, 0.0, pull.requests)
            }
        };
        Prediction {
            last_s,
            registry_bytes,
            mirror_bytes,
            peer_bytes,
            registry_requests,
        }
    }
}

/// Returns when the last of the hosts has the image. Each has a link and cores of its own beside the shared links.
fn last(
    fleet: &Fleet,
    pull: &Pull,
    shared: &[f64],
    demands: impl Fn(usize) -> Vec<(usize, f64)>,
) -> f64 {
    let resources: Vec<Resource> = shared
        .iter()
        .copied()
        .chain((0..fleet.hosts).flat_map(|_| [fleet.host_link, fleet.cores]))
        .map(|capacity| Resource { capacity })
        .collect();
    let jobs: Vec<Job> = (0..fleet.hosts)
        .map(|host| {
            let own = shared.len() + 2 * host;
            let mut demands = demands(host);
            demands.extend([(own, pull.blob_bytes), (own + 1, pull.cpu_s)]);
            Job {
                start_s: 0.0,
                alone_s: pull.wall_s,
                demands,
            }
        })
        .collect();
    ends(&resources, &jobs).into_iter().fold(0.0, f64::max)
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEET: Fleet = Fleet {
        hosts: 1000,
        host_link: 100.0,
        registry_link: 1000.0,
        mirror_link: 1000.0,
        mirrors: 10,
        cores: 2.0,
    };
    const PULL: Pull = Pull {
        wall_s: 1.0,
        cpu_s: 1.0,
        blob_bytes: 50.0,
        shared_bytes: 1.0,
        requests: 4.0,
    };

    fn close(actual: f64, expected: f64) {
        assert!(
            (actual - expected).abs() < 1e-6 * expected,
            "{actual} {expected}"
        );
    }

    #[test]
    fn each_topology_is_limited_by_the_link_that_all_bytes_cross() {
        close(Topology::Registry.predict(&FLEET, &PULL).last_s, 50.0);
        // 100 hosts behind each of 10 mirrors.
        close(Topology::Mirrors.predict(&FLEET, &PULL).last_s, 5.0);
        // Nothing is shared but the hosts' own links, so a pull is as fast as alone.
        close(Topology::Peers.predict(&FLEET, &PULL).last_s, 1.0);
        close(Topology::Folder.predict(&FLEET, &PULL).last_s, 2.0);
    }

    #[test]
    fn the_bytes_of_each_link_are_counted() {
        let registry = Topology::Registry.predict(&FLEET, &PULL);
        close(registry.registry_bytes, 50_000.0);
        close(registry.registry_requests, 4000.0);
        let mirrors = Topology::Mirrors.predict(&FLEET, &PULL);
        close(mirrors.registry_bytes, 500.0);
        close(mirrors.mirror_bytes, 50_000.0);
        let peers = Topology::Peers.predict(&FLEET, &PULL);
        close(peers.registry_bytes, 50.0);
        close(peers.peer_bytes, 49_950.0);
        let folder = Topology::Folder.predict(&FLEET, &PULL);
        close(folder.registry_bytes, 50.0);
        close(folder.mirror_bytes, 1000.0);
    }
}
