//! The gateway: Docker's Engine API over HTTP.
