//! The process's own heap, kept small between bursts of work (mallopt(3), malloc_trim(3)).
//!
//! glibc gives each thread an arena and keeps freed memory in it: a service that has unpacked an image once would
//! hold tens of megabytes for ever. In one shared arena a thread reuses what another has freed; the threads seldom
//! wait for each other there, because each has a cache of small blocks of its own (tcache). Other C libraries have no such calls; there the functions do nothing.

#![allow(unsafe_code)]

/// Lets all threads share one arena. To be called before the process has threads, because a thread keeps its arena.
pub fn share_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes two numbers and touches nothing but the allocator's own settings.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
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

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    /// The number of arenas, by malloc_info(3).
    fn arenas() -> usize {
        let (mut text, mut length) = (std::ptr::null_mut(), 0);
        // SAFETY: the stream writes into memory of its own, whose address and length are valid once it is closed; it is
        // freed once, after the last use.
        unsafe {
            let stream = libc::open_memstream(&raw mut text, &raw mut length);
            assert_eq!(libc::malloc_info(0, stream), 0);
            assert_eq!(libc::fclose(stream), 0);
            let said = std::ffi::CStr::from_ptr(text).to_str().expect("XML").matches("<heap nr=").count();
            libc::free(text.cast());
            said
        }
    }

    #[test]
    fn new_threads_share_an_arena() {
        share_arena();
        let before = arenas();
        let barrier = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let held = std::hint::black_box(vec![1_u8; 10_000]);
                    barrier.wait();
                    drop(held);
                });
            }
        });
        assert_eq!(arenas(), before);
    }
}
