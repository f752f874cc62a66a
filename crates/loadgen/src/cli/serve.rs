//! `loadgen serve`: the embedded target, as its own program has it.

use std::ffi::OsString;
use std::process::ExitCode;

use target_server::{Program, ServeArgs, cli};

pub(super) fn run(args: &ServeArgs) -> ExitCode {
    cli::main(args, &Program::current(vec![OsString::from("serve")]))
}
