//! Random clients against a collector: no acknowledged reference may dangle.
