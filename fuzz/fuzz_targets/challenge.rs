//! See [`msb_fuzz::challenge`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| msb_fuzz::challenge::run(data));
