//! The head of a promise's client.

/// Makes the client of a promise: `Client`, which is cheap to clone and finds its service among
/// [`Peers`](crate::Peers), and whose error is [`Failure`](crate::Failure). With the name and the type of a stub of
/// `Peers`, it has `rpc()`, which returns that stub.
macro_rules! client {
    ($(#[$doc:meta])* $service:literal $(, $stub:ident: $rpc:ty)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct Client {
            pub(super) peers: $crate::Peers,
            pub(super) caller: $crate::call::Caller,
        }

        impl Client {
            #[doc = concat!("The ", $service, " service among `peers`.")]
            pub fn new(peers: &$crate::Peers) -> Self {
                Self { peers: peers.clone(), caller: $crate::call::Caller::new($service) }
            }

            $(fn rpc(&self) -> $rpc {
                self.peers.$stub()
            })?
        }

        impl $crate::Promise for Client {
            type Error = $crate::Failure;
        }
    };
}
