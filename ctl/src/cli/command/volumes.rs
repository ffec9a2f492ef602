//! The arguments of the commands for volumes.

use clap::Subcommand;

use super::{Listed, Prune};

#[derive(Subcommand)]
pub enum Volume {
    /// Creates a volume.
    Create {
        /// The name [default: a random one].
        name: Option<String>,
        #[arg(short, long, default_value = "local")]
        driver: String,
        /// An option of the driver.
        #[arg(short, long = "opt", value_name = "KEY=VALUE")]
        options: Vec<String>,
        #[arg(long = "label", value_name = "KEY[=VALUE]")]
        labels: Vec<String>,
    },
    /// Lists volumes.
    #[command(visible_alias = "list")]
    Ls {
        #[command(flatten)]
        listed: Listed,
    },
    /// Removes volumes and their contents.
    #[command(visible_alias = "remove")]
    Rm {
        #[arg(required = true)]
        names: Vec<String>,
        /// Missing volumes are no error.
        #[arg(short, long)]
        force: bool,
    },
    /// Shows details of volumes.
    Inspect {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Removes anonymous volumes that no container uses.
    Prune {
        #[command(flatten)]
        prune: Prune,
        /// Also named volumes.
        #[arg(short, long)]
        all: bool,
    },
}
