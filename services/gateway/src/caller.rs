//! The caller of a request, whom the gateway names to the services behind it: the process or certificate at the connection's other end.

use gantry_http::Peer;
use gantry_rpc::Caller;
use http::Request;

/// The client of a request, as far as the connection tells it.
pub fn of<B>(request: &Request<B>) -> Option<Caller> {
    match request.extensions().get::<Peer>()?.clone() {
        Peer::Process { uid, gid, pid } => Some(Caller::Process { uid, gid, pid: pid.unwrap_or(0) }),
        Peer::Certificate { subject, .. } => Some(Caller::Certificate { subject }),
        Peer::Address(address) => Some(Caller::Address(address)),
        Peer::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_at_the_other_end_is_the_caller() {
        let mut request = Request::new(());
        assert_eq!(of(&request), None);
        let address = ([127, 0, 0, 1], 40312).into();
        for (peer, caller) in [
            (
                Peer::Process { uid: 1000, gid: 100, pid: Some(7) },
                Some(Caller::Process { uid: 1000, gid: 100, pid: 7 }),
            ),
            (
                Peer::Certificate { subject: "CN=alice".to_owned(), address, chain: [].into() },
                Some(Caller::Certificate { subject: "CN=alice".to_owned() }),
            ),
            (Peer::Address(address), Some(Caller::Address(address))),
            (Peer::Unknown, None),
        ] {
            request.extensions_mut().insert(peer);
            assert_eq!(of(&request), caller);
        }
    }
}
