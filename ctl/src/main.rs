//! `gantry`: the operator's tool. It starts and watches the services of one
//! machine, and is a client of all of them; it owns nothing.

#![allow(clippy::disallowed_methods, reason = "the work of a command ends with it")]

mod cli;
mod cmd;
mod options;
mod output;
mod presence;
mod signals;
mod stdio;
mod supervisor;

use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::{Error, ErrorKind};

fn main() -> ExitCode {
    let cli = cli::help::command().try_get_matches().and_then(|found| cli::Cli::from_arg_matches(&found));
    let cli = match cli {
        Ok(cli) => cli,
        Err(error) => return misunderstood(&error),
    };
    // Do this while the process has one thread.
    if let cli::Command::Up(_) = cli.command
        && let Err(error) = cli
            .roots
            .resolve()
            .map_err(Into::into)
            .and_then(|roots| supervisor::mounts::join_ancestors(&roots))
    {
        output::note(output::explain(&error));
        return ExitCode::from(cli::USAGE);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::note(format_args!("start the runtime: {error}"));
            return ExitCode::from(cli::USAGE);
        }
    };
    let failure = cli.command.failure();
    let result = runtime.block_on(cmd::run(cli));
    // A read of standard input may still block; its result is of no use now.
    runtime.shutdown_background();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is::<output::Closed>() => ExitCode::from(output::Closed::CODE),
        Err(error) => {
            output::note(output::explain(&error));
            ExitCode::from(cmd::code_of(&error).unwrap_or(failure))
        }
    }
}

/// Prints the help, or in one line why the command line is wrong.
fn misunderstood(error: &Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Standard output may be closed.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(cli::USAGE)
        }
        _ => {
            output::note(cli::help::in_one_line(&error.to_string()));
            ExitCode::from(cli::USAGE)
        }
    }
}
