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
    ($($variant:ident: $service:ident,)*) => {
        #[derive(Subcommand)]
        enum Named {
            $(#[command(about = $service::Service::DESCRIPTOR.about)] $variant(Arguments),)*
        }

        impl Named {
            fn run(self) -> ExitCode {
                match self {
                    $(Self::$variant(arguments) => $service::main(arguments),)*
                }
            }
        }
    };
}

services! {
    Content: gantry_content,
    Snapshots: gantry_snapshots,
    Images: gantry_images,
    Tasks: gantry_tasks,
    Network: gantry_network,
    Control: gantry_control,
    Engine: gantry_engine,
    Gateway: gantry_gateway,
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
