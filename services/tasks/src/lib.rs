//! The tasks service: container records, running shims.
