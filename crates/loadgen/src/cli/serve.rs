//! `loadgen serve`: the embedded target, as its own program has it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use target_server::{Program, ServeArgs, cli, config};

use super::sentence;

pub(super) fn run(args: &ServeArgs) -> ExitCode {
    cli::main(args, &this())
}

/// What the shell sees when the arguments of `serve` cannot be read.
pub(super) fn misspelt(message: &clap::Error) -> ExitCode {
    cli::misspelt(message, &this())
}

fn this() -> Program {
    Program::current(vec![OsString::from("serve")])
}

/// All settings of a target that is started with some, but for those that a run chooses by itself.
pub(super) fn settle(some: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    if let Some(chosen) = some.keys().find(|name| config::OF_A_RUN.contains(&name.as_str())) {
        return Err(format!("`{chosen}` is chosen by loadgen itself"));
    }
    let words = some.iter().map(|(name, value)| format!("--{name}={value}").into());
    let args = ServeArgs::of_words(words).map_err(|error| sentence(&error))?;
    let config = config::Config::resolve(&args).map_err(|error| error.to_string())?;
    let all = config.settings().of_a_plan();
    Ok(all.collect())
}
