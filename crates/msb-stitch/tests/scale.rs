//! Merging takes memory and work in proportion to the number of files: counted, not timed.
//!
//! `cargo run --release -p msb-stitch --example scale` has the times.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics, and prints what it counted"
)]

#[path = "../examples/scale/layers.rs"]
mod layers;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what is allocated.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);
static COPIED: AtomicUsize = AtomicUsize::new(0);

fn more(bytes: usize) {
    CALLS.fetch_add(1, Ordering::Relaxed);
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(held, Ordering::Relaxed);
}

#[expect(
    unsafe_code,
    reason = "an allocator that counts is the only exact account of memory; it hands everything on to the system's"
)]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // While it is copied there may be both.
        more(new_size);
        COPIED.fetch_add(layout.size(), Ordering::Relaxed);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What one stitch took for each file.
#[derive(Debug)]
struct PerFile {
    peak_bytes: f64,
    calls: f64,
    copied_bytes: f64,
}

fn stitch(files: u64) -> PerFile {
    let folder = tempfile::tempdir().unwrap();
    layers::write_sidecars(folder.path(), files).unwrap();
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let counters = [&CALLS, &COPIED].map(|counter| counter.load(Ordering::Relaxed));
    let fsmeta = layers::stitch(folder.path()).unwrap();
    assert!(fsmeta.inodes > files);
    let per_file = |count: usize| count as f64 / files as f64;
    let taken = PerFile {
        peak_bytes: per_file(PEAK.load(Ordering::Relaxed) - before),
        calls: per_file(CALLS.load(Ordering::Relaxed) - counters[0]),
        copied_bytes: per_file(COPIED.load(Ordering::Relaxed) - counters[1]),
    };
    println!("{files} files: {taken:.2?} for each");
    taken
}

#[test]
fn memory_and_work_are_linear_in_the_number_of_files() {
    // The sizes are equally far from the powers of two at which arrays double.
    let (small, large) = (stitch(12_500), stitch(100_000));
    for taken in [&small, &large] {
        // 400 MiB at a million files.
        assert!(taken.peak_bytes < 400.0, "{taken:?}");
        assert!(taken.calls < 1.5, "{taken:?}");
    }
    assert!(large.peak_bytes < small.peak_bytes * 1.2, "{large:?}");
    assert!(large.calls < small.calls * 1.2, "{large:?}");
    assert!(large.copied_bytes < small.copied_bytes * 1.3, "{large:?}");
}
