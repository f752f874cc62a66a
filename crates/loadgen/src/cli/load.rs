//! `loadgen URL`: a plain load test.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use clap::CommandFactory;
use report::document::Document;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::args::{Arguments, LoadCommand, Shown};
use super::exit::Exit;
use super::record::{Recording, takes_stdout};
use super::{history, output};
use crate::debug::{self, Debugged};
use crate::options::LoadOptions;
use crate::plan::{Plan, PlanError, Settle, Surroundings};
use crate::run::{self, Interrupt, Signal};
use crate::scenario::is_folder_name;
use crate::{clock, launch, machine};

pub(super) fn run(command: LoadCommand) -> anyhow::Result<Exit> {
    let LoadCommand { urls, options, output: output_options, strictness, record, name, debug, no_save } =
        command;
    let url = only(&urls, options.mix.is_some() || options.curl.is_some())?;
    let hints = hints(&options);
    let mut plan = Plan::of_url(url, options, surroundings())?;
    if debug {
        let records =
            record.raw.is_some() || record.hlog.is_some() || matches!(output_options.shown(), Shown::Rows);
        ensure!(
            !records,
            "--debug sends one request and records nothing: leave -o csv, --raw and --hlog out"
        );
        return show_exchange(&plan);
    }
    plan = plan.asserting(strictness.assertions.iter().cloned());
    if let Some(name) = name {
        ensure!(
            is_folder_name(&name),
            "--name may become a folder's: use letters, digits, dots, dashes and underscores"
        );
        plan.name = name;
    }
    let mut recording = Recording::open(&output_options, &record, &plan)?;
    for hint in hints {
        output::tell(&hint);
    }
    let interrupt = interrupt_on_signals()?;
    let program = super::this_program()?;
    let context = run::Context {
        program: &program,
        machine: None,
        interrupt: &interrupt,
        versions: versions(),
        tags: record.tags.by_key(),
        rows: recording.rows(),
    };
    let mut run = run::run(&plan, &context, &mut recording)?;
    let exit = recording.finish(&mut run);
    let document = Document::Run(Box::new(run));
    // First, so that a closed stdout loses nothing.
    let unkept = if no_save { Ok(()) } else { history::keep(&document) };
    match output_options.shown() {
        Shown::Report(format) if !takes_stdout(&output_options, &record) => {
            let text = output::render(&document, format, output_options.percentiles());
            // What is kept for `last` may be none: this is the record of a plain load test.
            output::show(&text).context(Exit::Invalid)?;
        }
        Shown::Report(_) | Shown::Rows => output::tell_summary(&document, output_options.percentiles()),
    }
    if let Err(error) = unkept {
        output::tell(&format!(
            "loadgen: not kept for `loadgen report last` (--no-save never keeps): {error}"
        ));
    }
    let (exit, objection) = strictness.judge(&document, exit);
    if let Some(objection) = objection {
        output::object(&objection);
    }
    Ok(exit)
}

/// `--debug`: one request, and no load.
fn show_exchange(plan: &Plan) -> anyhow::Result<Exit> {
    let Debugged { text, is_answered, has_faults } = debug::exchange(plan)?;
    output::show(&text)?;
    Ok(match (is_answered, has_faults) {
        (false, _) => Exit::NoTarget,
        (true, true) => Exit::Broken,
        (true, false) => Exit::Done,
    })
}

/// The one URL, or what is wrong with what was typed instead. None is needed where another option names one.
fn only(urls: &[String], is_named_elsewhere: bool) -> anyhow::Result<Option<&str>> {
    let Some(first) = urls.first() else {
        if is_named_elsewhere {
            return Ok(None);
        }
        return Err(PlanError::NoUrl.into());
    };
    let commands = Arguments::command();
    let near = |command: &&clap::Command| strsim::damerau_levenshtein(command.get_name(), first) <= 2;
    if let Some(command) = commands.get_subcommands().find(near) {
        // Behind options, the parser takes a command for a URL.
        let name = command.get_name();
        let advice = if name == first { "commands come first" } else { "did you mean that command?" };
        bail!("`{first}` is not a URL; {advice}: loadgen {name} ...");
    }
    match urls.get(1) {
        Some(second) => bail!("one URL at a time: `{second}` is one too many"),
        None => Ok(Some(first)),
    }
}

/// Sentences about options that do less than somebody may think.
fn hints(options: &LoadOptions) -> Vec<String> {
    let mut hints = Vec::new();
    let duration = options.duration.filter(|span| !span.0.is_zero());
    if let (Some(_), Some(requests)) = (duration, options.requests) {
        hints.push(format!("loadgen: the duration ends this run; -n {requests} is not used, as in hey"));
    }
    if let (None, requests, Some(connections)) = (duration, options.requests, options.connections) {
        let requests = requests.map_or(200, std::num::NonZeroU64::get);
        if requests < connections.get().into() {
            hints.push(format!("loadgen: {requests} requests use {requests} connections, not {connections}"));
        }
    }
    hints
}

/// What plans need to know of this machine.
pub(super) fn surroundings() -> Surroundings {
    let now = clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // Short enough to be typed again: a seed to the microsecond of the hour.
    let seed = u64::from(now.subsec_micros()) + now.as_secs() % 3600 * 1_000_000;
    #[cfg(feature = "serve")]
    let settle: Option<Settle> = Some(super::serve::settle);
    #[cfg(not(feature = "serve"))]
    let settle: Option<Settle> = None;
    Surroundings { cpus: machine::cpus_allowed(), seed, settle, allowed: machine::cpus }
}

/// What this program is made of.
pub(super) fn versions() -> BTreeMap<String, String> {
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    BTreeMap::from([
        ("loadgen".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("loadgen_build".to_owned(), build.to_owned()),
    ])
}

/// From now on the first SIGINT or SIGTERM ends the run early with all its results, and the second ends the program.
pub(super) fn interrupt_on_signals() -> anyhow::Result<Interrupt> {
    let interrupt = Interrupt::default();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let raised = interrupt.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let (kind, code) = if signal == SIGINT { (Signal::Int, 130) } else { (Signal::Term, 143) };
            if !raised.raise(kind) {
                remove_scratch();
                #[expect(
                    clippy::exit,
                    clippy::disallowed_methods,
                    reason = "the second signal ends the program at once"
                )]
                std::process::exit(code);
            }
            output::tell("loadgen: ending early with everything measured so far; once more to quit at once");
        }
    })?;
    Ok(interrupt)
}

/// The targets go with this process; what they wrote would stay.
fn remove_scratch() {
    let mine = launch::scratch_prefix();
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    let entries = entries.filter_map(Result::ok);
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&mine)) {
        // It ends now, whether or not this succeeds.
        let _ = std::fs::remove_dir_all(entry.path());
    }
}
