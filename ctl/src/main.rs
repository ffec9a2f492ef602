//! `gantry`: the operator's tool. It starts and watches the services of one
//! machine, and is a client of all of them; it owns nothing.

mod cli;
mod cmd;
mod output;
mod signals;
mod stdio;
mod supervisor;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    // Before there is a second thread.
    if let cli::Command::Up(_) = cli.command
        && let Err(error) =
            cli.roots.resolve().map_err(Into::into).and_then(|roots| supervisor::mounts::adopt(&roots))
    {
        eprintln!("gantry: {}", output::explain(&error));
        return ExitCode::from(cmd::FAILED);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("gantry: start the runtime: {error}");
            return ExitCode::from(cmd::FAILED);
        }
    };
    let result = runtime.block_on(cmd::run(cli));
    // A read of standard input may still wait for what the user types; nobody wants it any more.
    runtime.shutdown_background();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is::<output::Closed>() => ExitCode::from(output::Closed::CODE),
        Err(error) => {
            eprintln!("gantry: {}", output::explain(&error));
            ExitCode::from(cmd::FAILED)
        }
    }
}
