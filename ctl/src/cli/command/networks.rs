//! The arguments of the commands for networks.

use clap::{Args, Subcommand};

use super::{Listed, Prune};

#[derive(Debug, Args)]
pub struct NetCreate {
    pub name: String,
    #[arg(short, long, default_value = "bridge")]
    pub driver: String,
    /// The subnet, as in 10.1.0.0/16 [default: a free one].
    #[arg(long, value_name = "SUBNET")]
    pub subnet: Vec<String>,
    /// The host's address in a subnet.
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Vec<String>,
    /// The part of a subnet from which containers get addresses.
    #[arg(long, value_name = "SUBNET")]
    pub ip_range: Vec<String>,
    /// Addresses that something else has: NAME=ADDRESS.
    #[arg(long, value_name = "ADDRESS")]
    pub aux_address: Vec<String>,
    /// The IPAM driver, which gives out addresses.
    #[arg(long, value_name = "DRIVER")]
    pub ipam_driver: Option<String>,
    /// An option of the IPAM driver.
    #[arg(long, value_name = "KEY=VALUE")]
    pub ipam_opt: Vec<String>,
    /// Allows no traffic to other networks.
    #[arg(long)]
    pub internal: bool,
    /// Lets users attach single containers.
    #[arg(long)]
    pub attachable: bool,
    /// Also uses IPv6.
    #[arg(long)]
    pub ipv6: bool,
    /// An option of the driver.
    #[arg(short, long = "opt", value_name = "KEY=VALUE")]
    pub options: Vec<String>,
    #[arg(long = "label", value_name = "KEY[=VALUE]")]
    pub labels: Vec<String>,
}

#[derive(Debug, Args)]
pub struct NetConnect {
    pub network: String,
    pub container: String,
    /// Another name for the container in this network.
    #[arg(long = "alias", value_name = "NAME")]
    pub aliases: Vec<String>,
    /// The container's IPv4 address.
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// The container's IPv6 address.
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<String>,
    /// A name for another container in this network: CONTAINER[:ALIAS].
    #[arg(long = "link", value_name = "LINK")]
    pub links: Vec<String>,
    /// An option of the driver.
    #[arg(long = "driver-opt", value_name = "KEY=VALUE")]
    pub driver_opts: Vec<String>,
    /// The network with the highest priority has the default route.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub gw_priority: Option<i32>,
}

#[derive(Subcommand)]
pub enum Net {
    /// Creates a network.
    Create(NetCreate),
    /// Lists networks.
    #[command(visible_alias = "list")]
    Ls {
        #[command(flatten)]
        listed: Listed,
    },
    /// Removes networks.
    #[command(visible_alias = "remove")]
    Rm {
        #[arg(required = true)]
        names: Vec<String>,
        /// Missing networks are no error.
        #[arg(short, long)]
        force: bool,
    },
    /// Connects a container.
    Connect(NetConnect),
    /// Disconnects a container.
    Disconnect {
        network: String,
        container: String,
        /// Whatever state the container is in.
        #[arg(short, long)]
        force: bool,
    },
    /// Shows details of networks.
    Inspect {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Removes networks that no container uses.
    Prune {
        #[command(flatten)]
        prune: Prune,
    },
}
