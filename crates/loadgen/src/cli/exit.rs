//! The exit codes, all of them.

use std::process::ExitCode;

use report::document::{Document, Ended, Run, Verification};
use report::summary::Summary;
use report::warning;

use super::args::Strictness;
use crate::preflight::PreflightError;
use crate::run::{Interrupt, RunError, Signal};

/// What the shell sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    /// Done, and everything that was asserted holds.
    Done,
    /// The target did not keep what it acknowledged, an answer failed a check, or an assertion did not hold.
    Broken,
    /// Wrong use; nothing was started.
    Usage,
    /// No target: it could not start, died, or answered not one request.
    NoTarget,
    /// The run is not valid, or its record could not be kept.
    Invalid,
    /// Ended early by Ctrl-C; the document was written.
    Interrupted,
    /// Ended early by SIGTERM; the document was written.
    Terminated,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Broken => 1,
            Exit::Usage => 2,
            Exit::NoTarget => 3,
            Exit::Invalid => 4,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        })
    }
}

impl Exit {
    /// What a finished run means.
    pub(super) fn of(run: &Run) -> Self {
        let is_verified = run.verification.as_ref().is_none_or(Verification::holds);
        match run.ended {
            _ if !warning::is_valid(run) => Self::Invalid,
            Ended::Sigint => Self::Interrupted,
            Ended::Sigterm => Self::Terminated,
            _ if !is_verified || run.checks.iter().any(|check| check.failed > 0) => Self::Broken,
            Ended::TargetLost => Self::NoTarget,
            Ended::Completed if run.account.sent > 0 && run.account.answered() == 0 => Self::NoTarget,
            _ if run.assertions.iter().any(|assertion| !assertion.holds) => Self::Broken,
            // A reader that has gone wanted no more; what could not be written is told apart.
            Ended::Completed | Ended::OutputLost => Self::Done,
        }
    }
}

impl Strictness {
    /// What a finished run means under it: what was well otherwise may not be. Also gives why.
    pub(super) fn judge(&self, document: &Document, exit: Exit) -> (Exit, Option<String>) {
        let Document::Run(run) = document else { return (exit, None) };
        if !self.strict || exit != Exit::Done {
            return (exit, None);
        }
        let summary = Summary::of(document);
        match warning::objection(run, &summary, &warning::of(document, &summary)) {
            Some(objection) => (Exit::Invalid, Some(objection)),
            None => (exit, None),
        }
    }
}

/// What a signal means for what it cut short. Where none came, nothing was.
impl From<&Interrupt> for Exit {
    fn from(interrupt: &Interrupt) -> Self {
        interrupt.signal().map_or(Self::Done, Self::from)
    }
}

impl From<Signal> for Exit {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Int => Self::Interrupted,
            Signal::Term => Self::Terminated,
        }
    }
}

/// What an error means: wrong use, unless it says otherwise.
pub(super) fn of(error: &anyhow::Error) -> Exit {
    match error.downcast_ref::<RunError>() {
        Some(
            RunError::Launch(_)
            | RunError::Preflight(PreflightError::Handshake { .. } | PreflightError::Silent { .. }),
        ) => Exit::NoTarget,
        Some(RunError::Interrupted(Signal::Int)) => Exit::Interrupted,
        Some(RunError::Interrupted(Signal::Term)) => Exit::Terminated,
        Some(
            RunError::Files { .. }
            | RunError::Preflight(_)
            | RunError::Engine(_)
            | RunError::Cpus(_)
            | RunError::Fleet(_),
        )
        | None => error.downcast_ref::<Exit>().copied().unwrap_or(Exit::Usage),
    }
}

/// As an error's context, an exit code overrules the one that [`of`] would find.
impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Invalid => "what the run measured could not be written",
            Self::Done
            | Self::Broken
            | Self::Usage
            | Self::NoTarget
            | Self::Interrupted
            | Self::Terminated => "the run ended early",
        })
    }
}
