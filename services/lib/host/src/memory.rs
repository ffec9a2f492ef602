//! The process's own heap, kept small between bursts of work (mallopt(3), malloc_trim(3)).
//!
//! glibc gives each thread an arena and keeps freed memory in it: a service that has unpacked an image once would
//! hold tens of megabytes for ever. Other C libraries have no such calls; there the functions do nothing.

#![allow(unsafe_code)]

/// Lets the threads share `count` arenas. To be called before the process has threads.
pub fn limit_arenas(count: u8) {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes two numbers and touches nothing but the allocator's own settings.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, i32::from(count));
    }
}

/// Returns free memory of the heap to the kernel. Takes a millisecond for some megabytes.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes each arena's lock itself; may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
