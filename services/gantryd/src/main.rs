//! `gantryd SERVICE`: every service of Gantry in one file, each to be run as a
//! process of its own.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gantry_daemon::{Arguments, Service};

#[derive(Parser)]
#[command(name = "gantryd", version, about = "Runs one of Gantry's services")]
struct Cli {
    #[command(subcommand)]
    service: Named,
}

macro_rules! services {
    ($($variant:ident: $service:ty,)*) => {
        #[derive(Subcommand)]
        enum Named {
            $(#[command(about = <$service>::DESCRIPTOR.about)] $variant(Arguments),)*
        }

        impl Named {
            fn run(self) -> ExitCode {
                match self {
                    $(Self::$variant(arguments) => gantry_daemon::main::<$service>(arguments),)*
                }
            }
        }
    };
}

services! {
    Content: gantry_content::Service,
    Snapshots: gantry_snapshots::Service,
    Images: gantry_images::Service,
    Tasks: gantry_tasks::Service,
    Network: gantry_network::Service,
    Control: gantry_control::Service,
    Engine: gantry_engine::Service,
    Gateway: gantry_gateway::Service,
}

fn main() -> ExitCode {
    Cli::parse().service.run()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn every_service_can_be_run() {
        let command = Cli::command();
        let here: BTreeSet<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(here, gantry_descriptor::names().collect());
    }
}
