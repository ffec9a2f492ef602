//! What services share on the wire: sockets, error codes, request context, data sockets.
