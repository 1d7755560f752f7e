//! The system's certificates are read off the executor.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what it calls"
)]

mod support;

use std::process::Command;
use std::time::Duration;

use msb_registry::Client;
use support::{INDEX, Reply, Server, hasty};

/// Set in the process that reads its certificates from a fifo.
const FIFO: &str = "MSB_TEST_CERTIFICATE_FIFO";

#[test]
fn reading_the_systems_certificates_does_not_block_the_executor() {
    if std::env::var_os(FIFO).is_some() {
        return read_from_a_fifo();
    }
    let folder = std::env::temp_dir().join(format!("msb-roots-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let fifo = folder.join("roots.pem");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let test = "reading_the_systems_certificates_does_not_block_the_executor";
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(FIFO, &fifo)
        .env("SSL_CERT_FILE", &fifo)
        .output();
    std::fs::remove_dir_all(&folder).unwrap();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// One thread: if it waited for the certificates, it could not write them.
#[tokio::main(flavor = "current_thread")]
async fn read_from_a_fifo() {
    let fifo = std::env::var_os(FIFO).unwrap();
    let (server, pem) = Server::start_tls(|_, _| Reply::ok(INDEX)).await;
    let client = Client::builder().timeouts(hasty()).build().unwrap();
    let reference = server.reference("a");
    let fetch = tokio::spawn(async move { client.manifest(&reference).await });
    // Where the executor is blocked, this never runs, and the process is ended.
    let stuck = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(20));
        std::process::abort();
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!fetch.is_finished());
    std::fs::write(fifo, pem).unwrap();
    fetch.await.unwrap().unwrap();
    drop(stuck);
}
