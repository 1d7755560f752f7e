//! The hosts of a registry: their order, what falls through, and what each of them receives.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod blobs;
mod listing;
mod order;
mod received;
mod tls;
mod unresponsive;

use std::sync::Mutex;

use msb_oci::{Digest, Reference};
use msb_registry::{
    Client, ClientBuilder, HostConfig, HostHealth, HostProvider, HostsFuture, RegistryHost,
    Timeouts,
};
use support::{INDEX, Reply, Request, Server, hasty};

/// The same hosts for every registry, and a record of what was asked for.
struct Fixed {
    hosts: Vec<HostConfig>,
    asked: Mutex<Vec<String>>,
}

impl HostProvider for Fixed {
    fn hosts<'a>(&'a self, registry: &'a RegistryHost) -> HostsFuture<'a> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(registry.to_string());
        assert_eq!(asked.len(), 1, "a registry is looked up once");
        let hosts = self.hosts.clone();
        Box::pin(async move { Ok(hosts) })
    }
}

/// A client that never waits long, with these hosts for every registry, and the registry itself as the last one.
fn client(mirrors: impl IntoIterator<Item = HostConfig>) -> ClientBuilder {
    let mut hosts: Vec<HostConfig> = mirrors.into_iter().collect();
    hosts.push(HostConfig::registry());
    Client::builder().timeouts(timeouts()).hosts(Fixed {
        hosts,
        asked: Mutex::default(),
    })
}

fn timeouts() -> Timeouts {
    hasty().with_unresponsive(std::time::Duration::from_secs(30))
}

/// `server` as a mirror of the registry `of`.
fn mirror(server: &Server, of: &str) -> HostConfig {
    HostConfig::at(&format!("http://{}/v2", server.host))
        .unwrap()
        .with_namespace(of)
}

/// A registry with the index under every name, and a blob.
fn serve(request: &Request) -> Reply {
    if request.path.contains("/manifests/") {
        Reply::ok(INDEX)
    } else if request.path.contains("/blobs/") {
        Reply::ok(BLOB)
    } else {
        Reply::new(404, "")
    }
}

const BLOB: &[u8] = b"the bytes of a blob";

fn blob_digest() -> Digest {
    Digest::sha256_of(BLOB)
}

fn index_digest() -> Digest {
    Digest::sha256_of(INDEX.as_bytes())
}

/// A loopback host and port where nothing listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn reference(host: &str, rest: &str) -> Reference {
    format!("{host}/{rest}").parse().unwrap()
}
