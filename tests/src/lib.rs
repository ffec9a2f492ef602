//! End-to-end, fault and architecture tests, driven by real clients.
