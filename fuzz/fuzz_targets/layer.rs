//! See [`msb_fuzz::layer`].
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    msb_fuzz::tar_mutator::mutate(data, size, max_size, seed, &mut fuzzer_mutate)
});

fuzz_target!(|data: &[u8]| msb_fuzz::layer::run(data));
