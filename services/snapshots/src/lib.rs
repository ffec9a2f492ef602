//! The snapshots service: file-system states, and layers applied to and taken from them.
