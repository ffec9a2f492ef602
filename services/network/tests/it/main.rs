//! Tests of the service through its socket, with packets through the kernel. They need root.

mod forwarding;
mod names;
mod networks;
mod plugins;
mod ports;
mod restart;
mod world;
