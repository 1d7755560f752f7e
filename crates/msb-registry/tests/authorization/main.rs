//! Tokens, credentials and where they never go; schemes and redirects.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what it calls"
)]

mod redirects;
mod schemes;
#[path = "../support/mod.rs"]
mod support;
mod tokens;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use msb_oci::Digest;
use msb_registry::{
    BlobRequest, Client, CredentialUse, Error, RedirectProblem, RegistryAuth, TokenProblem,
};
use support::{INDEX, Reply, Request, Server, assert_presentable, drain, hasty};

fn alice() -> RegistryAuth {
    RegistryAuth::Basic {
        username: "alice".into(),
        password: "hunter2".into(),
    }
}
