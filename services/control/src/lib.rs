//! The control service: namespaces, leases, events, introspection, garbage collection, the front socket.
