//! See [`msb_fuzz::record`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| msb_fuzz::record::run(data));
