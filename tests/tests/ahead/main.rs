//! Layers are merged while they are unpacked: if a layer or the pull fails meanwhile, the disk is the same as without the failure, or
//! there is none.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod dropped;
mod layers;
mod merged;
mod served;
mod several;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{is_unpublished, pull, registry_in};
use merged::Merged;
use microsandbox_image::{
    LayerError, ProgressReceiver, PullError, PullOptions, PullPolicy, PullProgress, PullResult,
    Reference,
};
use msb_testkit::fault_registry::{Fault, FaultRegistry};
use msb_testkit::image::{BuiltImage, ImageBuilder, Layer};
use served::{Served, a_layer_twice, all, files, many_names, no_temporaries};
use tempfile::TempDir;

/// Timeout that only a hang exceeds.
const PATIENCE: Duration = Duration::from_secs(60);
/// The contents of a file short enough to be inline in the merged metadata.
const SHORT: &str = "the-data-of-a-short-file";
