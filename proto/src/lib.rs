//! The gRPC contracts: containerd's services, wire-identical, and Gantry's own.
