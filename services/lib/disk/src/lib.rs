//! Bytes that survive a power cut: atomic files, typed database tables, keyed locks.
