//! Those that are about networks.

use clap::{Args, Subcommand};

use super::{Listed, Prune};

#[derive(Debug, Args)]
pub struct NetCreate {
    pub name: String,
    #[arg(short, long, default_value = "bridge")]
    pub driver: String,
    /// As 10.1.0.0/16; chosen otherwise.
    #[arg(long, value_name = "SUBNET")]
    pub subnet: Vec<String>,
    /// The host's address in a subnet.
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Vec<String>,
    /// The part of a subnet that containers get.
    #[arg(long, value_name = "SUBNET")]
    pub ip_range: Vec<String>,
    /// Addresses that are others': NAME=ADDRESS.
    #[arg(long, value_name = "ADDRESS")]
    pub aux_address: Vec<String>,
    /// Who hands out addresses.
    #[arg(long, value_name = "DRIVER")]
    pub ipam_driver: Option<String>,
    /// Of that one.
    #[arg(long, value_name = "KEY=VALUE")]
    pub ipam_opt: Vec<String>,
    /// Leads nowhere else.
    #[arg(long)]
    pub internal: bool,
    /// Single containers may be attached.
    #[arg(long)]
    pub attachable: bool,
    /// With IPv6 too.
    #[arg(long)]
    pub ipv6: bool,
    /// Of the driver.
    #[arg(short, long = "opt", value_name = "KEY=VALUE")]
    pub options: Vec<String>,
    #[arg(long = "label", value_name = "KEY[=VALUE]")]
    pub labels: Vec<String>,
}

#[derive(Debug, Args)]
pub struct NetConnect {
    pub network: String,
    pub container: String,
    /// A further name there.
    #[arg(long = "alias", value_name = "NAME")]
    pub aliases: Vec<String>,
    /// Its IPv4 address.
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// Its IPv6 address.
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<String>,
    /// Another container there, by a name: CONTAINER[:ALIAS].
    #[arg(long = "link", value_name = "LINK")]
    pub links: Vec<String>,
    /// Of the driver.
    #[arg(long = "driver-opt", value_name = "KEY=VALUE")]
    pub driver_opts: Vec<String>,
    /// The network with the highest has the default route.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub gw_priority: Option<i32>,
}

#[derive(Subcommand)]
pub enum Net {
    /// Makes a network.
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
        /// Those that are not there are no error.
        #[arg(short, long)]
        force: bool,
    },
    /// Connects a container.
    Connect(NetConnect),
    /// Disconnects a container.
    Disconnect {
        network: String,
        container: String,
        /// Whatever state it is in.
        #[arg(short, long)]
        force: bool,
    },
    /// Shows all about networks.
    Inspect {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Removes networks that no container is on.
    Prune {
        #[command(flatten)]
        prune: Prune,
    },
}
