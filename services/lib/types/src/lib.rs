//! OCI and house vocabulary: digests, references, ids, labels, filters; no async, no I/O.
