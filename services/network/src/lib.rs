//! The network service: networks, endpoints, addresses, published ports, names.
