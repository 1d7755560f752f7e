//! Bounds the memory that the code under test allocates for an input.
//!
//! libFuzzer detects a gigabyte, by the size of the process. The targets assert a far lower bound, which the crates promise: a fixed
//! amount, or an amount bounded by the length of the input. Allocations of zstd, which is C, are not counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system allocator with a counter.
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
// SAFETY: every call passes its arguments unchanged to the system allocator.
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

/// Runs `check` and asserts that it never held more than `most` bytes and freed all of them.
///
/// # Panics
/// When it held more, or did not free all.
pub fn bounded(most: usize, check: impl FnOnce()) {
    /// The number of runs after which all lazy statics are initialized.
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
