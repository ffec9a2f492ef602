//! `containerd-shim-gantry-v2`.

fn main() {}
