//! The content service: blobs by digest.
