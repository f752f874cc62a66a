//! One instance number: the process that serves in it, its sockets, and what happens when the process ends.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use socket2::Socket;
use tempfile::TempDir;

use crate::blank;
use crate::clock::Deadline;
use crate::instance::{Birth, Instance};
use crate::lines::Lines;
use crate::listen::Places;
use crate::{Backoff, Event, Exit, Next, Reason, Restart, Spec, StartError, State};

/// What new processes are made of.
#[derive(Debug)]
pub(crate) struct Workshop {
    pub(crate) spec: Spec,
    pub(crate) places: Places,
    pub(crate) scratch: TempDir,
    /// How many processes there have been.
    pub(crate) started: u64,
    /// Signals that every new process is sent once it is ready.
    pub(crate) inherited: Vec<Signal>,
}

impl Workshop {
    /// Starts a process in `number`.
    pub(crate) fn start(&mut self, number: u16, sockets: Vec<Socket>) -> Result<Instance, StartError> {
        self.started += 1;
        let files = self.scratch.path().join(self.started.to_string());
        let names = self.places.names();
        let known = blank::values(&self.spec.blanks, &self.places, number);
        let args = self.spec.args.iter().map(|word| blank::fill(word, &known)).collect();
        let env =
            self.spec.env.iter().map(|(name, value)| (name.clone(), blank::fill(value, &known))).collect();
        for (path, content) in &self.spec.files {
            let path = PathBuf::from(blank::fill(path.as_os_str(), &known));
            let content = blank::fill(OsStr::new(content), &known);
            std::fs::write(&path, content.as_bytes()).map_err(|source| StartError::File { path, source })?;
        }
        let birth = Birth { number, sockets, names: &names, files: &files, args, env };
        let mut instance =
            Instance::spawn(&self.spec, birth).map_err(|source| self.not_started(number, source))?;
        self.inherited.iter().for_each(|signal| instance.signal(*signal));
        Ok(instance)
    }

    fn not_started(&self, instance: u16, source: io::Error) -> StartError {
        let program: PathBuf = self.spec.program.clone();
        StartError::Spawn { instance, program, source }
    }
}

/// What there is to tell.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) events: Vec<Event>,
    pub(crate) lines: Lines,
}

/// What an end means just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// All are coming up or going down: nothing is started again.
    Final,
    /// It ought to have lived.
    Loss,
    /// Its successor has been started already.
    Succession,
}

/// One place in a group.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) number: u16,
    /// Who serves, or served last.
    pub(crate) current: Instance,
    /// Copies of its sockets, unless they were closed or nothing is ever restarted.
    kept: Option<Vec<Socket>>,
    /// Failures in a row.
    failures: u32,
    /// When it is started again.
    due: Option<Deadline>,
    /// Until when a restarted process must be ready.
    awaited: Option<Deadline>,
}

impl Slot {
    /// Starts the first process in `number`. Without restarts the parent keeps no copy of its sockets, so that they close
    /// with the process and the kernel queues nothing for the dead.
    pub(crate) fn open(
        number: u16,
        sockets: Vec<Socket>,
        workshop: &mut Workshop,
    ) -> Result<Self, StartError> {
        let kept = match workshop.spec.restart {
            Restart::Never => None,
            Restart::Always(_) => {
                Some(copies(&sockets).map_err(|source| workshop.not_started(number, source))?)
            }
        };
        let current = workshop.start(number, sockets)?;
        Ok(Self { number, current, kept, failures: 0, due: None, awaited: None })
    }

    /// The next moment at which there is something to do.
    pub(crate) fn due(&self) -> impl Iterator<Item = Deadline> {
        [self.due, self.awaited, self.current.silent_from()].into_iter().flatten()
    }

    /// Everything ends: nothing is started here any more, and nobody listens but the process.
    pub(crate) fn end(&mut self) {
        self.close();
        self.kept = None;
    }

    /// Nothing is started or awaited here: a rolling restart takes over.
    pub(crate) fn close(&mut self) {
        (self.due, self.awaited) = (None, None);
    }

    /// Does what is to be done by now, without waiting.
    pub(crate) fn drive(&mut self, meaning: Meaning, workshop: &mut Workshop, news: &mut News) {
        if self.current.look(&mut news.lines) {
            self.lost(meaning, &workshop.spec, news);
        }
        if let Some(deadline) = self.awaited {
            if self.current.state() == State::Ready {
                self.awaited = None;
                news.events.push(Event::Ready { instance: self.number, pid: self.current.pid() });
            } else if deadline.over() && self.current.kill(Reason::Late, &mut news.lines) {
                self.lost(meaning, &workshop.spec, news);
            }
        }
        if self.due.is_some_and(Deadline::over) {
            self.restart(workshop, news);
        }
    }

    /// The process in it has ended.
    fn lost(&mut self, meaning: Meaning, spec: &Spec, news: &mut News) {
        self.awaited = None;
        let Some(exit) = self.current.exit().cloned() else { return };
        let next = match (meaning, spec.restart) {
            (Meaning::Succession, _) => Next::Replaced,
            (Meaning::Loss, Restart::Always(backoff)) => self.plan(&backoff, &exit),
            (Meaning::Final, _) | (Meaning::Loss, Restart::Never) => Next::Nothing,
        };
        news.events.push(Event::Ended { exit, next });
    }

    fn plan(&mut self, backoff: &Backoff, exit: &Exit) -> Next {
        if exit.was_ready && self.current.age() >= backoff.healthy {
            self.failures = 0;
        }
        match self.wait(backoff) {
            Duration::ZERO => Next::RestartNow,
            wait => Next::RestartAfter(wait),
        }
    }

    /// One failure more: when is it started again? Whoever must wait for it has no socket meanwhile.
    fn wait(&mut self, backoff: &Backoff) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let wait = backoff.wait(self.failures);
        if !wait.is_zero() {
            self.kept = None;
        }
        self.due = Some(Deadline::after(wait));
        wait
    }

    fn restart(&mut self, workshop: &mut Workshop, news: &mut News) {
        self.due = None;
        match self.successor(workshop) {
            Ok(instance) => {
                self.current = instance;
                self.awaited = Some(Deadline::after(workshop.spec.ready_timeout));
            }
            Err(error) => {
                let Restart::Always(backoff) = workshop.spec.restart else { return };
                // An error of the machine is no reason to try again at once.
                self.failures = self.failures.max(1);
                let again = self.wait(&backoff);
                news.events.push(Event::NotStarted { instance: self.number, error, again });
            }
        }
    }

    /// Starts another process on the same sockets, or on new ones where they were closed.
    pub(crate) fn successor(&mut self, workshop: &mut Workshop) -> Result<Instance, StartError> {
        let kept = match self.kept.take() {
            Some(kept) => kept,
            None => workshop.places.listen(self.number)?,
        };
        let sockets = copies(&kept).map_err(|source| workshop.not_started(self.number, source));
        self.kept = Some(kept);
        workshop.start(self.number, sockets?)
    }

    /// Puts a ready successor in place and gives back who was there.
    pub(crate) fn succeeded_by(&mut self, successor: Instance) -> Instance {
        self.failures = 0;
        std::mem::replace(&mut self.current, successor)
    }

    /// No successor comes. Whoever was here goes on; if nobody lives here, it goes on as after a failure.
    pub(crate) fn left_alone(&mut self, workshop: &Workshop) {
        match (self.current.state(), workshop.spec.restart) {
            (State::Starting, _) => self.awaited = Some(Deadline::after(workshop.spec.ready_timeout)),
            (State::Ended(_), Restart::Always(backoff)) => {
                self.failures = self.failures.max(1);
                self.wait(&backoff);
            }
            (State::Ready, _) | (State::Ended(_), Restart::Never) => {}
        }
    }
}

fn copies(sockets: &[Socket]) -> io::Result<Vec<Socket>> {
    sockets.iter().map(Socket::try_clone).collect()
}
