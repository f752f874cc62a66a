//! `loadgen truth-server`: the server that knows the answer, as a program.

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::args::TruthCommand;
use super::exit::Exit;
use super::output;
use crate::machine;
use crate::truth::{ByPath, Truth};

/// Connections for which the limit of open files is raised, where the system allows it.
const CONNECTIONS: usize = 10_000;

pub(super) fn run(command: TruthCommand) -> anyhow::Result<Exit> {
    let TruthCommand { listen, always, seed } = command;
    let script = ByPath::new(seed, always)?;
    // Where it is not allowed, fewer connections do too.
    let _ = machine::allow_connections(CONNECTIONS);
    // Before it listens, so that whoever knows it can also end it.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let truth = Truth::start_on(listen, move |turn| script.behaviour(turn))
        .with_context(|| format!("cannot listen on {listen}"))?;
    output::show(&format!("truth server on {}\n", truth.url("/")))?;
    let _ = signals.forever().next();
    output::show(&format!("{}\n", truth.report()))?;
    Ok(Exit::Done)
}
