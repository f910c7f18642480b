//! Counts the bytes that the current thread holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static PAUSED: Cell<bool> = const { Cell::new(false) };
}

fn add(bytes: isize) {
    if !PAUSED.get() {
        LIVE.set(LIVE.get() + bytes);
        PEAK.set(PEAK.get().max(LIVE.get()));
    }
}

fn size(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

// SAFETY: every request is passed to the system's allocator unchanged; the counters do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(size(layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(size(layout.size()));
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-size(layout.size()));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // Old and new blocks exist side by side while one is copied into the other.
        add(size(bytes));
        let moved = unsafe { System.realloc(pointer, layout, bytes) };
        add(-size(layout.size()));
        moved
    }
}

/// The number of bytes held now.
pub fn live() -> isize {
    LIVE.get()
}

/// The maximum held since [`reset_peak`].
pub fn peak() -> isize {
    PEAK.get()
}

/// Starts a new peak.
pub fn reset_peak() {
    PEAK.set(LIVE.get());
}

/// Runs work without counting it. What it allocates must not be freed by counted work.
pub fn uncounted<T>(work: impl FnOnce() -> T) -> T {
    let before = PAUSED.replace(true);
    let result = work();
    PAUSED.set(before);
    result
}
