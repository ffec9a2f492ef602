//! The kernel's network: links, addresses, routes, namespaces and nf_tables over netlink.
