//! `loadgen serve`: the embedded target, as its own program has it.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;
use target_server::config::value::{Size, Time};
use target_server::{Program, ServeArgs, cli, config};

use super::sentence;
use crate::scenario::schema::{Server, Setting, SettingKind};

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

/// What a scenario may set, as the server's own arguments have it.
pub(super) fn server() -> Server {
    let command = ServeArgs::augment_args(clap::Command::new("serve"));
    let chosen = config::OF_A_RUN.iter().map(|name| (*name).to_owned()).collect();
    let settings = command.get_arguments().filter_map(|arg| {
        let name = arg.get_long().filter(|name| !config::OF_A_RUN.contains(name))?;
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        Some(Setting { name: name.replace('-', "_"), help, kind: kind(arg) })
    });
    Server { settings: settings.collect(), chosen }
}

fn kind(arg: &clap::Arg) -> SettingKind {
    let is = |id: TypeId| arg.get_value_parser().type_id() == id;
    if is(TypeId::of::<bool>()) {
        return SettingKind::Switch;
    }
    let numbers = [
        (TypeId::of::<u16>(), u64::from(u16::MAX)),
        (TypeId::of::<u32>(), u64::from(u32::MAX)),
        // What a TOML file can say.
        (TypeId::of::<u64>(), i64::MAX as u64),
        (TypeId::of::<usize>(), i64::MAX as u64),
    ];
    if let Some((_, most)) = numbers.into_iter().find(|(id, _)| is(*id)) {
        return SettingKind::Number(range(arg, most));
    }
    if is(TypeId::of::<Time>()) {
        return SettingKind::Quantity { pattern: "^(0|[0-9]+(us|ms|s|m))$", example: "10s", bare: 0 };
    }
    if is(TypeId::of::<Size>()) {
        return SettingKind::Quantity {
            pattern: "^[0-9]+(B|KiB|MiB|GiB)?$",
            example: "64KiB",
            bare: i64::MAX as u64,
        };
    }
    let words = arg.get_possible_values().into_iter().filter(|value| !value.is_hide_set());
    let words: Vec<_> = words
        .map(|value| {
            (value.get_name().to_owned(), value.get_help().map(ToString::to_string).unwrap_or_default())
        })
        .collect();
    if words.is_empty() { SettingKind::Text } else { SettingKind::Choice(words) }
}

/// The numbers that an argument takes. Its parser keeps them to itself, so it is asked.
fn range(arg: &clap::Arg, most: u64) -> std::ops::RangeInclusive<u64> {
    let takes = |number: u64| {
        let words = [format!("--{}={number}", arg.get_long().unwrap_or_default())];
        let command = clap::Command::new("serve").no_binary_name(true).arg(arg.clone());
        command.try_get_matches_from(words).is_ok()
    };
    let least = u64::from(!takes(0));
    if takes(most) {
        return least..=most;
    }
    let (mut taken, mut refused) = (least, most);
    while refused - taken > 1 {
        let middle = taken + (refused - taken) / 2;
        if takes(middle) { taken = middle } else { refused = middle }
    }
    least..=taken
}
