//! Credentials from files, from helpers, and as skopeo writes and reads them.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod helpers;
mod login;
mod lookup;
mod skopeo;
mod support;
