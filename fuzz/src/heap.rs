//! A bound on what an input may make the code under test allocate.
//!
//! libFuzzer alone would see a gigabyte, by the process's size. The targets know a far lower number, which is a promise of the
//! crates: "allocates no more than a fixed amount or an amount bounded by the input's length". zstd allocates in C, past this.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, counted.
struct Counted;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static RUNS: AtomicUsize = AtomicUsize::new(0);
static SETTLED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTED: Counted = Counted;

fn grown(bytes: usize) {
    PEAK.fetch_max(LIVE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe; it hands everything to the system's"
)]
// SAFETY: every call is the system allocator's own, with the same arguments.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size(), Relaxed);
        grown(new_size);
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// Runs `check` and asserts that it never held more than `most` bytes, and that nothing of it stays.
///
/// # Panics
/// When it did.
pub fn bounded(most: usize, check: impl FnOnce()) {
    /// After so many runs everything that is made once has been made.
    const WARM: usize = 200;
    const LEAK: usize = 4 << 20;
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    check();
    let peak = PEAK.load(Relaxed).saturating_sub(before);
    assert!(
        peak <= most,
        "{peak} bytes were allocated, more than {most}"
    );
    let live = LIVE.load(Relaxed);
    match RUNS.fetch_add(1, Relaxed) {
        runs if runs < WARM => SETTLED.store(live, Relaxed),
        _ => {
            let settled = SETTLED.load(Relaxed);
            assert!(
                live <= settled + LEAK,
                "{} bytes have leaked",
                live - settled
            );
        }
    }
}
