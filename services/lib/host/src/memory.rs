//! The process's own heap: kept small between bursts of work (mallopt(3), malloc_trim(3)).
//!
//! glibc gives each thread an arena of its own and keeps what was freed in it; a service that has unpacked an image
//! once would hold tens of megabytes for ever. Other C libraries have no such calls: there, nothing is done.

#![allow(unsafe_code)]

/// Lets the threads share `count` arenas. To be called before there are threads.
pub fn limit_arenas(count: u8) {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes two numbers and touches nothing but the allocator's own settings.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, i32::from(count));
    }
}

/// Gives the kernel back what is free at the end and in the middle of the heap; a millisecond for some megabytes.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes each arena's lock itself; may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
