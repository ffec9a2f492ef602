//! Web pages are no clients of the gateway.
//!
//! A program on this machine that may connect to a loopback address without TLS is as good as root, and a browser is such
//! a program: it sends what a page of any site asks it to send. It says so, though. A browser names the page's origin in
//! each request of one site to another that does more than a link could, in each request that changes something, and in
//! each WebSocket handshake (Fetch, 3.2; RFC 6455, 10.2). Docker's clients name none, or that of the address that they
//! call, as their WebSocket libraries do.
//!
//! A unix socket no browser connects to, and behind TLS a client has proved itself by its certificate.

use gantry_http::Peer;
use http::header::{HOST, HeaderMap, ORIGIN};
use http::{Request, StatusCode};

use crate::error::Error;

/// Refuses a request that a page of another site has made.
///
/// # Errors
///
/// 403.
pub fn check<B>(request: &Request<B>) -> Result<(), Error> {
    match request.extensions().get::<Peer>() {
        Some(Peer::Address(_)) if !is_own(request.headers()) => {
            Err(Error::new(StatusCode::FORBIDDEN, "requests of web pages of other sites are not allowed"))
        }
        _ => Ok(()),
    }
}

/// Whether a request has no origin, or that of a page on this machine at the very address that is called. A page whose
/// name leads here only since it was loaded ("DNS rebinding") has a name for a host that is none of this machine's.
fn is_own(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let own = || {
        let (_, origin) = origin.to_str().ok()?.split_once("://")?;
        let host = headers.get(HOST)?.to_str().ok()?;
        (origin.eq_ignore_ascii_case(host) && is_loopback(host)).then_some(())
    };
    own().is_some()
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    if host.contains('@') {
        return false;
    }
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(peer: Peer, host: &str, origin: Option<&str>) -> bool {
        let mut request = Request::builder().header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        check(&request.extension(peer).body(()).expect("a request")).is_err()
    }

    #[test]
    fn pages_of_other_sites_are_refused_and_programs_are_not() {
        let tcp = || Peer::Address(([127, 0, 0, 1], 40312).into());
        for (host, origin, expected) in [
            ("localhost:2375", None, false),
            ("docker.example:2375", None, false),
            ("127.0.0.1:2375", Some("http://127.0.0.1:2375"), false),
            ("[::1]:2375", Some("http://[::1]:2375"), false),
            ("LOCALHOST:2375", Some("http://localhost:2375"), false),
            ("127.0.0.1:2375", Some("https://site.example"), true),
            ("127.0.0.1:2375", Some("http://127.0.0.1:8080"), true),
            ("127.0.0.1:2375", Some("null"), true),
            ("127.0.0.1:2375", Some(""), true),
            // A name of the page's own, which has come to lead here.
            ("site.example:2375", Some("http://site.example:2375"), true),
            ("127.0.0.1.site.example:2375", Some("http://127.0.0.1.site.example:2375"), true),
            ("evil@localhost:2375", Some("http://evil@localhost:2375"), true),
        ] {
            assert_eq!(refused(tcp(), host, origin), expected, "{host} {origin:?}");
        }
    }

    #[test]
    fn whom_the_kernel_or_a_certificate_names_is_asked_for_no_origin() {
        let site = Some("https://site.example");
        assert!(!refused(Peer::Process { uid: 0, gid: 0, pid: Some(1) }, "docker", site));
        let address = ([192, 0, 2, 1], 40312).into();
        let certificate = Peer::Certificate { subject: "CN=a".to_owned(), address, chain: [].into() };
        assert!(!refused(certificate, "docker.example:2376", site));
    }
}
