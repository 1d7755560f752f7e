//! The stream of a layer: pieces, verification and limits.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ahead;
mod budget;
#[path = "../common/mod.rs"]
mod common;
mod limits;
mod promises;
mod refused;
mod same_bytes;
mod stages;
mod verify;

use std::error::Error as _;
use std::fs;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, atomic::Ordering};

use bytes::Bytes;
use common::{Attempt, run, runtime};
use fs_tree::{ApplyError, TreeError};
use msb_budget::{BudgetError, ImageBudget, ImageLimit, ImageLimits};
use msb_layer::decode::Compression;
use msb_layer::{IngestedLayer, LayerError, LayerLimit, LayerLimits, PartialBlobIo, VerifyJob};
use msb_oci::{Algorithm, Digest};
use msb_testkit::image::Layer;
use msb_testkit::{content, tar};

const RECIPE: &str = "dir d mode=0700 xattr.user.a=1\nfile d/a size=300000 seed=1\nfile d/b size=100 seed=2\nlink e target=d/a
    file s size=100000 seed=3 sparse=pax1.0 map=8192:100,50000:5000,100000:0\nwhiteout gone\nopaque d\nsymlink l target=d/a";

/// Returns both files of an attempt.
fn files(attempt: Attempt<'_>) -> (Vec<u8>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("layer");
    attempt.into_files(&base).unwrap();
    let read = |extension| fs::read(base.with_extension(extension)).unwrap();
    (read("erofs"), read("sidecar"))
}

fn error(attempt: Attempt<'_>) -> LayerError {
    let error = attempt.run().unwrap_err();
    // One line, and no cause repeated.
    let text = error.to_string();
    assert!(!text.chars().any(char::is_control), "{text}");
    if let Some(source) = error.source() {
        assert!(!text.contains(&source.to_string()), "{text}");
    }
    error
}
