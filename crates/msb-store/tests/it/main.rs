//! The store from outside: several tasks, several processes, and an untrusted directory.
#![allow(
    clippy::unwrap_used,
    reason = "in a test, and in what tests share, a panic is the report"
)]

mod access;
mod budget;
mod common;
#[cfg(target_os = "linux")]
mod file_systems;
#[cfg(target_os = "linux")]
mod full_disk;
mod hostile;
mod layout;
mod leftovers;
mod locks;
mod prune;
mod publish;
mod records;
mod sessions;
mod space;
mod tiers;
