//! Clients of the services, and the protocols of their data sockets.
