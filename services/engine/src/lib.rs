//! The engine service: containers as Docker users know them.
