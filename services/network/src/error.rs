//! What can go wrong, by situation.

use std::net::IpAddr;

use gantry_rpc::{Code, Coded};

/// The result of the service's work.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A request that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// No network of this id, name or prefix.
    #[error("network {0} not found")]
    NetworkNotFound(String),
    /// More than one id begins so.
    #[error("network {0} is ambiguous: several ids begin with it")]
    NetworkAmbiguous(String),
    /// The name is taken.
    #[error("network with name {0} already exists")]
    NetworkExists(String),
    /// `bridge`, `host` and `none` are there for ever.
    #[error("operation is not permitted on predefined {0} network ")]
    Predefined(String),
    /// Containers are on it.
    #[error("error while removing network: network {name} has active endpoints ({})", endpoints.join(", "))]
    ActiveEndpoints {
        /// The network's name.
        name: String,
        /// The endpoints, as `name:"x" id:"y"`.
        endpoints: Vec<String>,
    },
    /// The networks are to be withdrawn, but containers are connected.
    #[error("{0} containers are connected to networks")]
    NetnsLeft(usize),
    /// A driver that is not built.
    #[error("network driver {0} is not implemented: use bridge")]
    DriverNotBuilt(String),
    /// A driver that nobody knows.
    #[error("plugin \"{0}\" not found")]
    DriverUnknown(String),
    /// A plugin refused, or could not be asked.
    #[error("{0}")]
    Plugin(String),
    /// A second `host` or `null` network.
    #[error("only one instance of \"{0}\" network is allowed")]
    OnlyOne(String),
    /// A subnet that is in use.
    #[error("invalid pool request: Pool overlaps with other one on this address space: {0} overlaps {1}")]
    PoolOverlaps(ipnet::IpNet, ipnet::IpNet),
    /// A bridge has one subnet of each family.
    #[error("bridge driver doesn't support multiple subnets")]
    SeveralSubnets,
    /// No subnet is left to choose.
    #[error("all predefined address pools have been fully subnetted")]
    PoolsUsedUp,
    /// The interface's name is another network's, or another program's.
    #[error("network {network} wants the interface {interface}, which is in use by {owner}")]
    InterfaceTaken {
        /// The network to be made.
        network: String,
        /// The interface.
        interface: String,
        /// Whose it is.
        owner: String,
    },
    /// The subnet has no address left.
    #[error("no available IPv{family} addresses on this network's address pools: {network} ({id})")]
    AddressesUsedUp {
        /// The network's name.
        network: String,
        /// The network's id.
        id: String,
        /// 4 or 6.
        family: u8,
    },
    /// The address is another endpoint's.
    #[error("Address already in use")]
    AddressTaken,
    /// The address lies outside of the network.
    #[error("invalid address {address}: it does not belong to any of network {network}'s subnets")]
    AddressOutside {
        /// The address.
        address: IpAddr,
        /// The network's name.
        network: String,
    },
    /// Another container has the port.
    #[error("Bind for {host}:{port} failed: port is already allocated")]
    PortAllocated {
        /// The host's address.
        host: IpAddr,
        /// The port.
        port: u16,
    },
    /// A program on the host has the port.
    #[error("failed to bind host port {host}:{port}/{protocol}: address already in use")]
    PortBusy {
        /// The host's address.
        host: IpAddr,
        /// The port.
        port: u16,
        /// `tcp`, `udp`, `sctp`.
        protocol: &'static str,
    },
    /// The host's address is not one of the host's.
    #[error("failed to bind host port {host}:{port}: cannot assign requested address")]
    HostAddress {
        /// The host's address.
        host: IpAddr,
        /// The port.
        port: u16,
    },
    /// Nothing leads from that address to the container.
    #[error("cannot publish port {port} on {host}: {}", if host.is_loopback() {
        "the kernel does not forward from the host's IPv6 loopback: publish it on 127.0.0.1, or on another of the host's addresses"
    } else {
        "the container has no IPv6 address: publish it on an IPv4 address, or put the container on a network with IPv6"
    })]
    HostV6 {
        /// The host's address.
        host: std::net::Ipv6Addr,
        /// The container's port.
        port: u16,
    },
    /// All ports that were acceptable are taken.
    #[error("all ports of {host}:{first}-{last} are taken: port is already allocated")]
    PortsUsedUp {
        /// The host's address.
        host: IpAddr,
        /// The first acceptable one.
        first: u16,
        /// The last.
        last: u16,
    },
    /// The netns is not there.
    #[error("network namespace {0} not found")]
    NetnsNotFound(String),
    /// The netns is there, with other endpoints.
    #[error("network namespace {0} is attached already, to other networks")]
    NetnsDiffers(String),
    /// The netns is on the network already.
    #[error("endpoint with name {container} already exists in network {network}")]
    AlreadyConnected {
        /// The container's name.
        container: String,
        /// The network's name.
        network: String,
    },
    /// The netns is not on the network.
    #[error("container {container} is not connected to network {network}")]
    NotConnected {
        /// The container's name.
        container: String,
        /// The network's name.
        network: String,
    },
    /// `host` and `none` have no endpoints.
    #[error("a live network namespace cannot be connected to network {0}")]
    NoEndpoints(String),
    /// The kernel refused.
    #[error("{op}")]
    Kernel {
        /// What was being done, and to what.
        op: String,
        /// The refusal.
        #[source]
        source: gantry_netlink::Error,
    },
    /// A record could not be written or read.
    #[error("record of {object}")]
    Disk {
        /// The network or netns.
        object: String,
        /// The cause.
        #[source]
        source: gantry_disk::Error,
    },
    /// A system call that is not netlink's.
    #[error("{op}")]
    Io {
        /// What was being done, and to what.
        op: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The blocking pool is gone: the service is ending.
    #[error("the network service is shutting down")]
    ShuttingDown,
    /// What a test ordered.
    #[error(transparent)]
    Fault(#[from] gantry_failpoint::Fault),
}

impl Error {
    /// Adds what was being done to a kernel's refusal.
    pub fn kernel(op: impl Into<String>) -> impl FnOnce(gantry_netlink::Error) -> Self {
        move |source| Error::Kernel { op: op.into(), source }
    }

    /// Adds the object to a failure of the database.
    pub fn disk(object: impl Into<String>) -> impl FnOnce(gantry_disk::Error) -> Self {
        move |source| Error::Disk { object: object.into(), source }
    }
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Error::Invalid(_)
            | Error::NetworkAmbiguous(_)
            | Error::AddressOutside { .. }
            | Error::HostV6 { .. } => Code::InvalidArgument,
            Error::NetworkNotFound(_)
            | Error::NetnsNotFound(_)
            | Error::NotConnected { .. }
            | Error::DriverUnknown(_) => Code::NotFound,
            Error::NetworkExists(_) => Code::AlreadyExists,
            Error::Predefined(_)
            | Error::ActiveEndpoints { .. }
            | Error::AlreadyConnected { .. }
            | Error::NoEndpoints(_)
            | Error::AddressTaken
            | Error::SeveralSubnets
            | Error::OnlyOne(_) => Code::PermissionDenied,
            Error::DriverNotBuilt(_) => Code::Unimplemented,
            Error::PoolOverlaps(..)
            | Error::InterfaceTaken { .. }
            | Error::PortAllocated { .. }
            | Error::PortBusy { .. }
            | Error::HostAddress { .. }
            | Error::PortsUsedUp { .. }
            | Error::NetnsDiffers(_)
            | Error::NetnsLeft(_) => Code::FailedPrecondition,
            Error::PoolsUsedUp | Error::AddressesUsedUp { .. } => Code::ResourceExhausted,
            Error::Disk { source, .. } if source.is_disk_full() => Code::ResourceExhausted,
            Error::Kernel { .. }
            | Error::Disk { .. }
            | Error::Io { .. }
            | Error::Plugin(_)
            | Error::Fault(_) => Code::Internal,
            Error::ShuttingDown => Code::Unavailable,
        }
    }
}
