//! See [`msb_fuzz::sidecar`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| msb_fuzz::sidecar::run(data));
