//! Tokens, credentials and where they never go; schemes and redirects.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what it calls"
)]

mod addresses;
mod binding;
mod identity;
mod redaction;
mod redirects;
mod schemes;
mod scopes;
#[path = "../support/mod.rs"]
mod support;
mod tokens;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use msb_oci::Digest;
use msb_registry::{
    BlobRequest, Client, ClientBuilder, CredentialFuture, CredentialProvider, CredentialUse, Error,
    RedirectProblem, RegistryAuth, RegistryHost, TokenProblem,
};
use support::{INDEX, Reply, Request, Server, assert_presentable, drain, hasty};

/// What `alice` sends.
const ALICE: &str = "Basic YWxpY2U6aHVudGVyMg==";

fn basic_challenge() -> Reply {
    Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\"")
}

/// A registry that lets `alice` in.
async fn for_alice() -> Server {
    Server::start(|request, _| match request.header("authorization") {
        Some(ALICE) => Reply::ok(INDEX),
        _ => basic_challenge(),
    })
    .await
}

fn alice() -> RegistryAuth {
    RegistryAuth::Basic {
        username: "alice".into(),
        password: "hunter2".into(),
    }
}
