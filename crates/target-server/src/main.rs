//! The thin binary around the library; `loadgen serve` takes the same arguments.

use std::process::ExitCode;

use clap::Parser;
use target_server::{Program, ServeArgs, cli};

/// A database-backed echo server to be load-tested
///
/// For every request it commits one row to a SQLite database and echoes the request's body.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    serve: ServeArgs,
}

fn main() -> ExitCode {
    let program = Program::current(Vec::new());
    match Arguments::try_parse() {
        Ok(arguments) => cli::main(&arguments.serve, &program),
        Err(message) => cli::misspelt(&message, &program),
    }
}
