//! The errors of the network service.

use std::net::IpAddr;

use gantry_rpc::{Code, Coded};

/// The result of the service's work.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request itself is invalid.
    #[error("{0}")]
    Invalid(String),
    /// No network has this id, name or prefix.
    #[error("network {0} not found")]
    NetworkNotFound(String),
    /// Several ids begin with this prefix.
    #[error("network {0} is ambiguous: several ids begin with it")]
    NetworkAmbiguous(String),
    /// Another network has the name.
    #[error("network with name {0} already exists")]
    NetworkExists(String),
    /// The networks `bridge`, `host` and `none` cannot be removed.
    #[error("operation is not permitted on predefined {0} network ")]
    Predefined(String),
    /// Containers are connected to the network.
    #[error("error while removing network: network {name} has active endpoints ({})", endpoints.join(", "))]
    ActiveEndpoints {
        /// The network's name.
        name: String,
        /// The endpoints, as `name:"x" id:"y"`.
        endpoints: Vec<String>,
    },
    /// Networks cannot be withdrawn while containers are connected.
    #[error("{0} containers are connected to networks")]
    NetnsLeft(usize),
    /// The driver is one of Docker's that Gantry does not have.
    #[error("network driver {0} is not implemented: use bridge")]
    DriverNotBuilt(String),
    /// There is no plugin of this name.
    #[error("plugin \"{0}\" not found")]
    DriverUnknown(String),
    /// A plugin refused.
    #[error("{0}")]
    Plugin(String),
    /// A plugin could not be reached or has not answered: it may have carried out the call.
    #[error("{0}")]
    PluginSilent(String),
    /// A plugin refuses to be the container's default route.
    #[error("driver failed programming external connectivity on endpoint {container} ({endpoint}): {why}")]
    WayOut {
        /// The container's name.
        container: String,
        /// The endpoint's id.
        endpoint: String,
        /// The plugin's words.
        why: String,
    },
    /// A plugin has not stated its scope.
    #[error("could not resolve driver {0} in registry")]
    DriverUnresolved(String),
    /// A second `host` or `null` network.
    #[error("only one instance of \"{0}\" network is allowed")]
    OnlyOne(String),
    /// The subnet overlaps with another network's.
    #[error("invalid pool request: Pool overlaps with other one on this address space: {0} overlaps {1}")]
    PoolOverlaps(ipnet::IpNet, ipnet::IpNet),
    /// A bridge network has at most one subnet of each family.
    #[error("bridge driver doesn't support multiple subnets")]
    SeveralSubnets,
    /// No subnet is left in the default address pools.
    #[error("all predefined address pools have been fully subnetted")]
    PoolsUsedUp,
    /// The interface's name belongs to another network or another program.
    #[error("network {network} wants the interface {interface}, which is in use by {owner}")]
    InterfaceTaken {
        /// The new network.
        network: String,
        /// The interface.
        interface: String,
        /// The network or program that has the interface.
        owner: String,
    },
    /// The subnet has no address left.
    #[error("no available IPv{family} addresses on this network's address pools: {network} ({id})")]
    AddressesUsedUp {
        /// The network's name.
        network: String,
        /// The network's id.
        id: String,
        /// IP version, 4 or 6.
        family: u8,
    },
    /// Another endpoint has the address.
    #[error("Address already in use")]
    AddressTaken,
    /// The address is in no subnet of the network.
    #[error("invalid address {address}: it does not belong to any of network {network}'s subnets")]
    AddressOutside {
        /// The address.
        address: IpAddr,
        /// The network's name.
        network: String,
    },
    /// Another container has published the port.
    #[error("Bind for {host}:{port} failed: port is already allocated")]
    PortAllocated {
        /// The host's address.
        host: IpAddr,
        /// The port.
        port: u16,
    },
    /// A program on the host uses the port.
    #[error("failed to bind host port {host}:{port}/{protocol}: address already in use")]
    PortBusy {
        /// The host's address.
        host: IpAddr,
        /// The port.
        port: u16,
        /// `tcp`, `udp`, `sctp`.
        protocol: &'static str,
    },
    /// No interface of the host has the address.
    #[error("failed to bind host port {host}:{port}: cannot assign requested address")]
    HostAddress {
        /// The host's address.
        host: IpAddr,
        /// The port.
        port: u16,
    },
    /// Packets to this address of the host cannot reach the container.
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
    /// All ports of the range are taken.
    #[error("all ports of {host}:{first}-{last} are taken: port is already allocated")]
    PortsUsedUp {
        /// The host's address.
        host: IpAddr,
        /// The first port of the range.
        first: u16,
        /// The last port of the range.
        last: u16,
    },
    /// The network namespace does not exist.
    #[error("network namespace {0} not found")]
    NetnsNotFound(String),
    /// The network namespace exists with other endpoints.
    #[error("network namespace {0} is attached already, to other networks")]
    NetnsDiffers(String),
    /// The network namespace is on the network already.
    #[error("endpoint with name {container} already exists in network {network}")]
    AlreadyConnected {
        /// The container's name.
        container: String,
        /// The network's name.
        network: String,
    },
    /// The network namespace is not on the network.
    #[error("container {container} is not connected to network {network}")]
    NotConnected {
        /// The container's name.
        container: String,
        /// The network's name.
        network: String,
    },
    /// The networks `host` and `none` have no endpoints.
    #[error("a live network namespace cannot be connected to network {0}")]
    NoEndpoints(String),
    /// A netlink call has failed.
    #[error("{op}")]
    Kernel {
        /// The operation and its object.
        op: String,
        /// The kernel's error.
        #[source]
        source: gantry_netlink::Error,
    },
    /// A record cannot be read or written.
    #[error("record of {object}")]
    Disk {
        /// The network or network namespace.
        object: String,
        /// The cause.
        #[source]
        source: gantry_disk::Error,
    },
    /// A system call other than netlink has failed.
    #[error("{op}")]
    Io {
        /// The operation and its object.
        op: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The service ends, so blocking work is refused.
    #[error("the network service is shutting down")]
    ShuttingDown,
    /// The error that a test ordered at a failpoint.
    #[error(transparent)]
    Fault(#[from] gantry_failpoint::Fault),
}

impl Error {
    /// Adds the operation to a netlink error.
    pub fn kernel(op: impl Into<String>) -> impl FnOnce(gantry_netlink::Error) -> Self {
        move |source| Error::Kernel { op: op.into(), source }
    }

    /// Adds the object to a database error.
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
            | Error::HostV6 { .. }
            | Error::PoolsUsedUp => Code::InvalidArgument,
            Error::NetworkNotFound(_)
            | Error::NetnsNotFound(_)
            | Error::NotConnected { .. }
            | Error::DriverUnresolved(_)
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
            Error::AddressesUsedUp { .. } => Code::ResourceExhausted,
            Error::Disk { source, .. } if source.is_disk_full() => Code::ResourceExhausted,
            Error::Kernel { .. }
            | Error::Disk { .. }
            | Error::Io { .. }
            | Error::Plugin(_)
            | Error::PluginSilent(_)
            | Error::WayOut { .. }
            | Error::Fault(_) => Code::Internal,
            Error::ShuttingDown => Code::Unavailable,
        }
    }
}
