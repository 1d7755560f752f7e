//! Hosts of registries from directories in containerd's layout.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod bad_input;
mod directories;
mod keys;
mod support;
