//! Target `config`: an image's config.
//!
//! Asserted, for every input:
//! - the record of a parsed config reads back equal;
//! - the platform that it offers prints in one line;
//! - the memory is bounded by the input.

use msb_oci::{Config, ImageConfig};
use msb_platform::{Offer, Platform};

use crate::errors::check_message;
use crate::heap;

/// Runs the target.
///
/// # Panics
/// When something that is asserted does not hold.
pub fn run(bytes: &[u8]) {
    let mut parsed = None;
    // An empty string takes three bytes as JSON and 24 in memory, twice while a list grows.
    heap::bounded(64 * bytes.len() + (64 << 10), || {
        parsed = match Config::parse(bytes) {
            Ok(config) => Some(config),
            Err(error) => {
                check_message(&error);
                None
            }
        };
    });
    let Some(config) = parsed else {
        return;
    };
    let record = serde_json::to_vec(&config.image).expect("it is written");
    let again: ImageConfig = serde_json::from_slice(&record).expect("it is read");
    assert_eq!(again, config.image);
    let wanted = Platform::new("linux", "arm");
    let child = Platform::with_variant("linux", "arm", "v6");
    for child in [None, Some(&child)] {
        if let Some((offer, is_assumed)) = Offer::of_config(&config.platform, child, &wanted) {
            assert!(!offer.to_string().contains(char::is_control));
            assert!(!is_assumed || child.is_none());
            assert!(!offer.fits(&wanted) || wanted.accepts(offer.platform()));
        }
    }
}
