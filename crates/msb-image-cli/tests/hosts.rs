//! Mirrors and TLS settings from `hosts.toml`, with real registries.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Output;

use common::{ok, run, stderr};
use msb_testkit::fault_registry::{Fault, FaultRegistry};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::registry::{DockerRegistry, RegistryOptions};
use tempfile::TempDir;

/// A directory of settings, and a cache.
struct Settings(TempDir);

impl Settings {
    /// Writes the settings of the registry `host`.
    fn new(host: &str, toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("hosts").join(host);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("hosts.toml"), toml).unwrap();
        Self(folder)
    }

    fn pull(&self, reference: &str, args: &[&str]) -> Output {
        let hosts = self.0.path().join("hosts");
        let fixed = [
            "pull",
            reference,
            "--platform",
            "linux/amd64",
            "--policy",
            "always",
            "--progress",
            "none",
            "--retry-seconds",
            "1",
            "--hosts-dir",
            hosts.to_str().unwrap(),
        ];
        run(&self.0.path().join("cache"), [&fixed[..], args].concat())
    }
}

fn layout() -> TempDir {
    let layout = tempfile::tempdir().unwrap();
    ImageBuilder::new()
        .layer(Layer::recipe("file a data=a").gzip())
        .layer(Layer::recipe("file b data=b").gzip())
        .write_layout(layout.path(), "v1")
        .unwrap();
    layout
}

fn registry(options: RegistryOptions) -> DockerRegistry {
    let registry = DockerRegistry::start(options).unwrap();
    registry
        .push_oci_layout(layout().path(), "test", "v1")
        .unwrap();
    registry
}

/// A loopback host and port where nothing listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_pull_through_cache_serves_the_first_pull_and_the_next_without_the_origin() {
    let origin = registry(RegistryOptions::default());
    let mirror = DockerRegistry::start(RegistryOptions {
        proxy: Some(origin.url()),
        ..RegistryOptions::default()
    })
    .unwrap();
    let host = origin.host();
    let toml = format!("[host.\"{}\"]\n", mirror.url());
    let reference = format!("{host}/test:v1");
    origin.forget_requests().unwrap();
    ok(&Settings::new(&host, &toml).pull(&reference, &["--plain-http", &host]));
    let own = |request: &&msb_testkit::registry::Request| {
        request.user_agent.starts_with("microsandbox-image")
    };
    assert_eq!(origin.requests().iter().filter(own).count(), 0);
    assert!(mirror.requests().iter().filter(own).count() >= 4);
    drop(origin);
    let pulled = ok(&Settings::new(&host, &toml).pull(&reference, &["--format", "json"]));
    assert!(pulled.contains("manifest_digest"), "{pulled}");
}

#[test]
fn a_black_holed_mirror_delays_a_pull_once() {
    let origin = registry(RegistryOptions::default());
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = hole.local_addr().unwrap();
    let host = origin.host();
    let toml = format!("[host.\"http://{mirror}\"]\n");
    let reference = format!("{host}/test:v1");
    ok(&Settings::new(&host, &toml).pull(&reference, &["--plain-http", &host]));
    // One request and the question whether the mirror is there; none for the config and the layers.
    hole.set_nonblocking(true).unwrap();
    let connections = std::iter::from_fn(|| hole.accept().ok()).count();
    assert_eq!(connections, 2);
}

#[test]
fn the_error_names_each_host_and_the_warning_each_unknown_key() {
    let (origin, mirror) = (nowhere(), nowhere());
    let toml = format!("[host.\"http://{mirror}\"]\ncapabilites = [\"pull\"]\n");
    let settings = Settings::new(&origin, &toml);
    let output = settings.pull(&format!("{origin}/test:v1"), &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    for part in [
        origin.as_str(),
        &mirror,
        "connection refused",
        "hosts.toml:2: unknown key capabilites",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn settings_that_cannot_be_read_name_file_and_line() {
    let settings = Settings::new("registry.example", "[host\n");
    let output = settings.pull("registry.example/test:v1", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("hosts.toml:1:"), "{output:?}");
}

#[test]
fn keys_reach_the_connection() {
    let origin = registry(RegistryOptions {
        tls: true,
        ..RegistryOptions::default()
    });
    let ca = origin.ca_cert().unwrap();
    let ca = ca.display();
    let url = origin.url();
    let reference = "registry.example/test:v1";
    let served = |toml: &str| Settings::new("registry.example", toml).pull(reference, &[]);
    let refused = served(&format!("server = \"{url}\"\n"));
    assert!(
        stderr(&refused).contains("unknown authority"),
        "{refused:?}"
    );
    for toml in [
        format!("server = \"{url}\"\nca = \"{ca}\"\n"),
        format!("server = \"{url}\"\nskip_verify = true\n"),
        format!("server = \"{url}/v2\"\noverride_path = true\nca = [\"{ca}\"]\n"),
        format!("[host.\"{url}\"]\nca = \"{ca}\"\ndial_timeout = \"10s\"\n"),
        format!(
            "[host.\"{url}\"]\nca = \"{ca}\"\ncapabilities = [\"pull\", \"resolve\"]\n[host.\"{url}\".header]\nx-route = \"registry.example\"\n"
        ),
    ] {
        ok(&served(&toml));
    }
    // A mirror that may not resolve is not asked for a tag.
    let only_pull = format!(
        "server = \"http://{}\"\n[host.\"{url}\"]\nca = \"{ca}\"\ncapabilities = [\"pull\"]\n",
        nowhere()
    );
    let output = served(&only_pull);
    assert_eq!(output.status.code(), Some(1));
    assert!(!stderr(&output).contains(&origin.host()), "{output:?}");
}

#[test]
fn a_client_certificate_without_its_key_is_bad_usage_and_a_bad_one_is_named() {
    let settings = Settings::new("registry.example", "");
    let output = settings.pull("registry.example/a", &["--client-cert", "/dev/null"]);
    assert_eq!(output.status.code(), Some(2));
    let args = ["--client-cert", "/dev/null", "--client-key", "/dev/null"];
    let output = settings.pull("registry.example/a", &args);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("client certificate /dev/null"),
        "{output:?}"
    );
}

#[test]
fn a_layer_with_wrong_bytes_at_a_mirror_comes_from_the_origin() {
    let origin = registry(RegistryOptions::default());
    let mirror = FaultRegistry::start().unwrap();
    let layout = layout();
    mirror.serve("test", layout.path());
    // Of the right length: only the digest shows that they are wrong.
    for blob in std::fs::read_dir(layout.path().join("blobs/sha256")).unwrap() {
        let blob = blob.unwrap();
        let bytes = usize::try_from(blob.metadata().unwrap().len()).unwrap();
        let digest = blob.file_name().into_string().unwrap();
        mirror.fault(&digest, Fault::Body(vec![b'x'; bytes]));
    }
    let host = origin.host();
    let toml = format!("[host.\"http://{}\"]\n", mirror.host());
    ok(&Settings::new(&host, &toml).pull(&format!("{host}/test:v1"), &["--plain-http", &host]));
    // The config, and each layer once.
    assert_eq!(mirror.count("/blobs/"), 3);
}

#[test]
fn a_directory_of_certificates_in_dockers_form_counts() {
    let origin = registry(RegistryOptions {
        tls: true,
        ..RegistryOptions::default()
    });
    let settings = Settings::new(&origin.host(), "");
    let dir = settings.0.path().join("hosts").join(origin.host());
    std::fs::copy(origin.ca_cert().unwrap(), dir.join("ca.crt")).unwrap();
    ok(&settings.pull(&format!("{}/test:v1", origin.host()), &[]));
}

/// Answers every request with `status`, as a proxy that refuses does.
fn refusing_proxy(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let mut buffer = [0; 4096];
            let _ = socket.read(&mut buffer);
            let _ = write!(socket, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        }
    });
    host
}

#[test]
fn a_proxy_that_fails_is_named() {
    for proxy in [
        nowhere(),
        refusing_proxy("403 Forbidden"),
        refusing_proxy("407 Proxy Authentication Required"),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let output = common::command(cache.path())
            .env("HTTPS_PROXY", format!("http://me:hunter2@{proxy}"))
            .env("NO_PROXY", "registry.example:5000")
            .args(["pull", "registry.example/a", "--retry-seconds", "0"])
            .args(["--progress", "none"])
            .output()
            .unwrap();
        let text = stderr(&output);
        let named = format!("cannot connect through the proxy http://{proxy}/");
        assert!(text.contains(&named), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
