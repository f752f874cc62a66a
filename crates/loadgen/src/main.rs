//! The program. Everything is in the library; what can be typed is in its `cli` room.

use std::process::ExitCode;

fn main() -> ExitCode {
    loadgen::cli::main()
}
