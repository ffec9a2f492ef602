//! The service through its socket, and packets through the kernel. Needs root.

mod forwarding;
mod names;
mod networks;
mod ports;
mod restart;
mod world;
