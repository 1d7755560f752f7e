//! See [`msb_fuzz::vmdk`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| msb_fuzz::vmdk::run(data));
