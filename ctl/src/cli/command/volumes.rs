//! Those that are about volumes.

use clap::Subcommand;

use super::{Listed, Prune};

#[derive(Subcommand)]
pub enum Volume {
    /// Makes a volume.
    Create {
        /// One is made up otherwise.
        name: Option<String>,
        #[arg(short, long, default_value = "local")]
        driver: String,
        /// Of the driver.
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
    /// Removes volumes and what is in them.
    #[command(visible_alias = "remove")]
    Rm {
        #[arg(required = true)]
        names: Vec<String>,
        /// Those that are not there are no error.
        #[arg(short, long)]
        force: bool,
    },
    /// Shows all about volumes.
    Inspect {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Removes anonymous volumes that no container uses.
    Prune {
        #[command(flatten)]
        prune: Prune,
        /// Named ones too.
        #[arg(short, long)]
        all: bool,
    },
}
