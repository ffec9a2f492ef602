//! The arguments of the commands for images.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Listed, Prune};

#[derive(Debug, Args)]
pub struct Images {
    /// Only images of this name.
    pub name: Option<String>,
    /// Adds digests.
    #[arg(long)]
    pub digests: bool,
    #[command(flatten)]
    pub listed: Listed,
}

#[derive(Debug, Args)]
pub struct Pull {
    pub reference: String,
    /// os/arch[/variant]
    #[arg(long)]
    pub platform: Option<String>,
    /// Pulls every tag.
    #[arg(short, long)]
    pub all_tags: bool,
    /// Prints only the name, at the end.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct Push {
    pub reference: String,
    /// os/arch[/variant]
    #[arg(long)]
    pub platform: Option<String>,
    /// Pushes every tag that is here.
    #[arg(short, long)]
    pub all_tags: bool,
    /// Prints only the name, at the end.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct Login {
    /// The registry [default: Docker Hub].
    pub server: Option<String>,
    #[arg(short, long)]
    pub username: Option<String>,
    /// The password. Other users may see it in ps(1): --password-stdin is safer.
    #[arg(short, long, conflicts_with = "password_stdin")]
    pub password: Option<String>,
    /// Reads the password from standard input.
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
}

#[derive(Debug, Args)]
pub struct Save {
    #[arg(required = true)]
    pub references: Vec<String>,
    /// A file, in place of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// os/arch[/variant]
    #[arg(long)]
    pub platform: Option<String>,
}

#[derive(Debug, Args)]
pub struct Load {
    /// A file, in place of standard input.
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// os/arch[/variant]
    #[arg(long)]
    pub platform: Option<String>,
    /// Does not show the progress of layers.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Subcommand)]
pub enum Image {
    /// Creates an image from a root file system's tar.
    Import {
        /// The tar, which may be compressed; `-` for standard input.
        file: PathBuf,
        /// The image's name.
        reference: String,
        /// Dockerfile instructions, as in `CMD ["/bin/sh"]`.
        #[arg(short, long)]
        change: Vec<String>,
    },
    /// Removes images without a name; with --all, those that no container uses.
    Prune {
        #[command(flatten)]
        prune: Prune,
        #[arg(short, long)]
        all: bool,
    },
}
