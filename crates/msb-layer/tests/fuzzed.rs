//! Failures that the fuzz target `layer` found, one test each.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Attempt;
use msb_layer::LayerError;
use msb_testkit::tar;

#[test]
fn a_symlink_without_a_target_is_an_error_and_a_whiteout_needs_none() {
    let bare = tar::recipe("symlink a");
    assert!(matches!(
        Attempt::uncompressed(&bare).run(),
        Err(LayerError::NoTarget { entry, .. }) if entry == b"a"
    ));
    Attempt::uncompressed(&tar::recipe("symlink .wh.a"))
        .run()
        .unwrap();
}
