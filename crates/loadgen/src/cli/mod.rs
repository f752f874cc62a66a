//! What can be typed, what does the shell see? The only room that prints, reads the environment and knows exit codes.

mod args;
mod bench;
mod capacity;
mod compare;
mod exit;
mod history;
mod import;
mod list;
mod live;
mod load;
mod merge;
mod output;
mod record;
mod replay;
mod reports;
mod resume;
mod selftest;
#[cfg(feature = "serve")]
mod serve;
mod show;
mod spelling;
mod truth;
mod versus;
mod words;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use self::args::{Arguments, Command};
use self::exit::Exit;

/// Runs the program: reads what was typed, does it, and says how it ended.
///
/// Call it from the main thread: targets that are started die with the thread that started them.
pub fn main() -> ExitCode {
    match parse(spelling::as_clap_wants(std::env::args_os())) {
        Ok((arguments, typed)) => dispatch(arguments, typed),
        Err(message) => {
            // Help and version come this way too, and are no error.
            if !message.use_stderr() {
                let _ = message.print();
                return Exit::Done.into();
            }
            #[cfg(feature = "serve")]
            if std::env::args_os().nth(1).is_some_and(|word| word == "serve") {
                return serve::misspelt(&message);
            }
            output::tell(&format!("loadgen: {}; --help shows what there is", sentence(&message)));
            Exit::Usage.into()
        }
    }
}

/// What was typed, and the names of the command's options that were.
fn parse(words: Vec<OsString>) -> Result<(Arguments, BTreeSet<String>), clap::Error> {
    let mut parser = Arguments::command();
    let matches = parser.try_get_matches_from_mut(words)?;
    let arguments = Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut parser))?;
    Ok((arguments, matches.subcommand().map(|(_, of_command)| typed(of_command)).unwrap_or_default()))
}

fn typed(matches: &ArgMatches) -> BTreeSet<String> {
    let is_typed = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    matches.ids().filter(is_typed).map(|id| id.as_str().to_owned()).collect()
}

/// What the parser complains about, in one sentence: without its usage lines, and without its advice to pass a flag
/// that it does not know as a URL.
fn sentence(message: &clap::Error) -> String {
    let text = message.to_string();
    let mut parts = text.split("\n\n").map(one_line);
    let first = parts.next().unwrap_or_default();
    let sentence = first.strip_prefix("error: ").unwrap_or(&first);
    let tip = parts.find_map(|part| part.strip_prefix("tip: ").map(str::to_owned));
    // The letters of hey have long forms too, which no help shows: `--o` is no advice for `--bogus`.
    let names_letter = |tip: &str| tip.split('\'').any(|word| word.starts_with("--") && word.len() == 3);
    match tip.filter(|tip| !tip.contains(" '-- ") && !names_letter(tip)) {
        Some(tip) => format!("{sentence}; {tip}"),
        None => sentence.to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn dispatch(arguments: Arguments, typed: BTreeSet<String>) -> ExitCode {
    let exit = match arguments.command {
        None => load::run(arguments.load),
        Some(Command::Run(command)) => replay::run(*command, typed),
        Some(Command::Plan(command)) => show::plan(*command),
        Some(Command::Scenarios(command)) => show::scenarios(&command),
        Some(Command::Report(command)) => show::report(&command),
        Some(Command::Compare(command)) => compare::run(&command),
        Some(Command::Import(command)) => import::run(command),
        Some(Command::Versus(command)) => versus::run(&command),
        Some(Command::Capacity(command)) => capacity::run(&command),
        Some(Command::Merge(command)) => merge::run(&command),
        Some(Command::Selftest) => selftest::run(),
        Some(Command::TruthServer(command)) => truth::run(command),
        #[cfg(feature = "serve")]
        Some(Command::Serve(serve)) => return serve::run(&serve),
    };
    match exit {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::complain(&error);
            exit::of(&error).into()
        }
    }
}

/// How a target that is part of this program is started: as `loadgen serve`.
fn this_program() -> anyhow::Result<crate::launch::Program> {
    let path = std::env::current_exe()?;
    #[cfg(feature = "serve")]
    let variables = target_server::cli::variables();
    #[cfg(not(feature = "serve"))]
    let variables = Vec::new();
    Ok(crate::launch::Program { path, leading: vec![OsString::from("serve")], variables, search: search() })
}

/// What a scenario file may say.
fn schema() -> crate::scenario::schema::Schema {
    #[cfg(feature = "serve")]
    let server = Some(serve::server());
    #[cfg(not(feature = "serve"))]
    let server = None;
    crate::scenario::schema::Schema::new(server)
}

/// Where a shell looks for programs, and where servers are on a system that keeps them from the PATH of ordinary users.
#[expect(clippy::disallowed_methods, reason = "the room that reads the environment")]
fn search() -> Vec<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(Into::into)).collect()
}
