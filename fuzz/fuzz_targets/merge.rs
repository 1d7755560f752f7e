//! See [`msb_fuzz::merge`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| msb_fuzz::merge::run(data));
