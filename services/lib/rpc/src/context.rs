//! The containerd namespace and the lease of a request, in its metadata.

use gantry_types::Namespace;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status};

/// The header with the containerd namespace.
pub const NAMESPACE: &str = "containerd-namespace";
/// The header with the lease that keeps what the call makes.
pub const LEASE: &str = "containerd-lease";

/// The namespace of a request.
///
/// # Errors
///
/// As in containerd: `FAILED_PRECONDITION` when the header is missing or empty, `INVALID_ARGUMENT` when it is not an
/// identifier.
pub fn namespace<T>(request: &Request<T>) -> Result<Namespace, Status> {
    let value = header(request, NAMESPACE)?
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Status::failed_precondition("namespace is required"))?;
    value.parse().map_err(|error| Status::invalid_argument(format!("namespace {value:?}: {error}")))
}

/// The lease of a request, if it has one.
///
/// # Errors
///
/// `INVALID_ARGUMENT` when the header is not text.
pub fn lease<T>(request: &Request<T>) -> Result<Option<String>, Status> {
    Ok(header(request, LEASE)?.filter(|value| !value.is_empty()).map(str::to_owned))
}

/// A request in a namespace.
pub fn with_namespace<T>(message: T, namespace: &Namespace) -> Request<T> {
    let mut request = Request::new(message);
    let value = ascii(namespace.as_ref()).expect("an identifier is ASCII");
    request.metadata_mut().insert(NAMESPACE, value);
    request
}

/// A request in a namespace, with a lease.
pub fn with_lease<T>(message: T, namespace: &Namespace, lease: Option<&str>) -> Request<T> {
    let mut request = with_namespace(message, namespace);
    if let Some(value) = lease.and_then(ascii) {
        request.metadata_mut().insert(LEASE, value);
    }
    request
}

fn ascii(value: &str) -> Option<MetadataValue<Ascii>> {
    value.parse().ok()
}

/// The first value of a header, as containerd reads it.
fn header<'a, T>(request: &'a Request<T>, name: &'static str) -> Result<Option<&'a str>, Status> {
    match request.metadata().get(name) {
        None => Ok(None),
        Some(value) => value
            .to_str()
            .map(Some)
            .map_err(|_| Status::invalid_argument(format!("header {name} is not text"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_namespace_is_a_failed_precondition() {
        let status = namespace(&Request::new(())).expect_err("no header");
        assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    }

    #[test]
    fn headers_round_trip() {
        let moby: Namespace = "moby".parse().expect("an identifier");
        let request = with_lease((), &moby, Some("l1"));
        assert_eq!(namespace(&request).expect("there").to_string(), "moby");
        assert_eq!(lease(&request).expect("text").as_deref(), Some("l1"));
    }
}
