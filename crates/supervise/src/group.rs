//! Several instances that are started, looked after and stopped together.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::{PollFd, Timespec, poll};
use rustix::process::Signal;

use crate::clock::Deadline;
use crate::instance::{Instance, State};
use crate::lines::Lines;
use crate::listen::Places;
use crate::roll::Roll;
use crate::slot::{Meaning, News, Slot, Workshop};
use crate::{Address, Event, Exit, Next, Reason, Restart, RollError, Spec, StartError};

/// How long a wait sleeps at most before it looks again whether it shall be given up.
const CANCEL_LATENCY: Duration = Duration::from_millis(100);

/// What a group is doing.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Starting,
    Serving,
    /// What still runs then is killed.
    Stopping(Deadline),
}

/// Server processes that belong together. Dropping the group kills them.
#[derive(Debug)]
pub struct Group {
    // In this order: first the processes end, then their addresses and their files go.
    slots: Vec<Slot>,
    roll: Option<Roll>,
    /// The process that a rolling restart had too many when everything was to end.
    extra: Option<Instance>,
    workshop: Workshop,
    news: News,
    phase: Phase,
}

/// Starts the processes and waits until all of them are ready.
///
/// Call it from a thread that lives as long as the group, and call [`Group::check`] and [`Group::wait`] from the same one;
/// the documentation of the crate says why.
///
/// # Errors
/// When an address cannot be listened on, or an instance cannot be started, ends early or is not ready in time.
pub fn start(spec: &Spec) -> Result<Group, StartError> {
    let mut places = Places::take(spec)?;
    // All of them listen before any instance is started, so the kernel spreads connections over all from the first on.
    let sockets =
        (1..=spec.instances.get()).map(|number| places.listen(number)).collect::<Result<Vec<_>, _>>()?;
    let scratch = tempfile::Builder::new()
        .prefix("supervise-")
        .tempdir_in(&spec.scratch)
        .map_err(StartError::Scratch)?;
    let workshop = Workshop { spec: spec.clone(), places, scratch, started: 0, inherited: Vec::new() };
    let news = News::default();
    let mut group =
        Group { slots: Vec::new(), roll: None, extra: None, workshop, news, phase: Phase::Starting };
    for (number, sockets) in (1..).zip(sockets) {
        group.slots.push(Slot::open(number, sockets, &mut group.workshop)?);
    }
    if spec.restart == Restart::Never {
        group.workshop.places.release();
    }
    group.wait_ready()?;
    group.phase = Phase::Serving;
    Ok(group)
}

impl Group {
    /// Where the socket `name` of the first instance listens, with the port that was really taken; when the instances listen
    /// there together, that is where all of them do. `None` when no socket has this name.
    pub fn address(&self, name: &str) -> Option<Address> {
        self.address_of(name, 1)
    }

    /// Where the socket `name` of instance `number` (from 1) listens.
    pub fn address_of(&self, name: &str, number: u16) -> Option<Address> {
        self.addresses(name, number).into_iter().next()
    }

    /// Where all sockets `name` of instance `number` (from 1) listen, in the order of [`Spec::sockets`].
    pub fn addresses(&self, name: &str, number: u16) -> Vec<Address> {
        if self.slots.iter().all(|slot| slot.number != number) {
            return Vec::new();
        }
        self.workshop.places.addresses(name, number)
    }

    /// The instances in the order of their numbers, ended ones included. In a rolling restart, a successor is among them as
    /// soon as it is ready.
    pub fn instances(&self) -> Vec<&Instance> {
        self.slots.iter().map(|slot| &slot.current).collect()
    }

    /// How many processes had not ended when the group last looked.
    pub fn running(&self) -> usize {
        self.processes().filter(|instance| instance.running()).count()
    }

    /// What has happened since the last call of this or of [`Group::wait`]. Does not wait.
    ///
    /// Call one of the two now and then: they also read what the instances notify, keep the files that capture their output
    /// from growing, restart what has ended and go on with a rolling restart.
    pub fn check(&mut self) -> Vec<Event> {
        self.drive();
        std::mem::take(&mut self.news.events)
    }

    /// Like [`Group::check`], but waits for news: until an instance ends or notifies something, something is due,
    /// `patience` is over or a signal handler has run; not at all while an instance has printed much that was not read yet. May therefore return nothing early. Returns at once when nothing
    /// runs and nothing will be restarted.
    pub fn wait(&mut self, patience: Duration) -> Vec<Event> {
        let due = self.due().map(|deadline| deadline.left().unwrap_or_default()).min();
        let room = self.news.lines.room();
        let more = self.processes().any(|instance| instance.has_more(room));
        if (self.running() > 0 || due.is_some()) && !more {
            self.sleep(due.map_or(patience, |due| due.min(patience)));
        }
        self.check()
    }

    /// The lines that instances have printed since the last call, as far as [`Group::check`] or [`Group::wait`] have come
    /// across them: empty unless [`Spec::lines`] is set. Take them as often as you wait; what nobody takes is lost, and
    /// counted, once 4 MiB of lines and 16 MiB of each stream are waiting.
    pub fn lines(&mut self) -> Lines {
        std::mem::take(&mut self.news.lines)
    }

    /// Sends all instances a signal, each as soon as it is ready.
    pub fn signal(&mut self, signal: Signal) {
        self.processes_mut().for_each(|instance| instance.signal(signal));
    }

    /// Like [`Group::signal`], and from now on for every process that is started as well: what the signal has changed in the
    /// others, it changes in their successors.
    pub fn signal_lastingly(&mut self, signal: Signal) {
        let inherited = &mut self.workshop.inherited;
        if !inherited.contains(&signal) {
            inherited.push(signal);
        }
        self.signal(signal);
    }

    /// Begins a rolling restart: one instance after the other gets a successor on the same sockets, and once that is ready
    /// it is asked to end (and killed after [`Spec::stop_timeout`]). A successor that does not become ready ends the roll,
    /// and its predecessor stays. Returns at once; [`Group::check`] and [`Group::wait`] do the work and tell of it.
    ///
    /// # Errors
    /// When one is under way, everything is being stopped, or there are no sockets for successors.
    pub fn roll(&mut self) -> Result<(), RollError> {
        match (&self.roll, self.phase, self.workshop.spec.restart) {
            (_, Phase::Stopping(_), _) => Err(RollError::Stopping),
            (_, _, Restart::Never) => Err(RollError::NotKept),
            (Some(_), ..) => Err(RollError::Underway),
            (None, ..) => {
                self.roll = Some(Roll::new(self.slots.len()));
                Ok(())
            }
        }
    }

    /// Asks all instances to end (SIGTERM) and returns at once; follow their end with [`Group::wait`], which kills those
    /// that have not ended after [`Spec::stop_timeout`]. Nothing is restarted any more.
    pub fn terminate(&mut self) {
        self.close();
        self.processes_mut().for_each(Instance::ask);
    }

    /// Kills what still runs and waits for its end, which [`Group::check`] tells. Nothing is restarted any more.
    pub fn kill(&mut self) {
        self.close();
        let Self { slots, extra, news, .. } = self;
        for instance in slots.iter_mut().map(|slot| &mut slot.current).chain(extra) {
            if instance.kill(Reason::Killed, &mut news.lines) {
                tell_final(instance, news);
            }
        }
    }

    /// Asks all instances to end, kills those that have not ended after [`Spec::stop_timeout`], and returns the end of the
    /// last process of every instance in the order of their numbers, those that ended earlier included.
    pub fn stop(mut self) -> Vec<Exit> {
        self.check();
        self.terminate();
        while self.running() > 0 {
            self.wait(CANCEL_LATENCY);
        }
        let mut exits: Vec<Exit> = self.processes().filter_map(Instance::exit).cloned().collect();
        exits.sort_by_key(|exit| exit.instance);
        exits
    }

    fn processes(&self) -> impl Iterator<Item = &Instance> {
        let extra = self.roll.as_ref().and_then(Roll::extra).or(self.extra.as_ref());
        self.slots.iter().map(|slot| &slot.current).chain(extra)
    }

    fn processes_mut(&mut self) -> impl Iterator<Item = &mut Instance> {
        let extra = self.roll.as_mut().and_then(Roll::extra_mut).or(self.extra.as_mut());
        self.slots.iter_mut().map(|slot| &mut slot.current).chain(extra)
    }

    /// From now on everything only ends.
    fn close(&mut self) {
        if !matches!(self.phase, Phase::Stopping(_)) {
            self.phase = Phase::Stopping(Deadline::after(self.workshop.spec.stop_timeout));
        }
        self.extra = self.roll.take().and_then(Roll::into_extra).or(self.extra.take());
        self.slots.iter_mut().for_each(Slot::end);
        // With our copies open the kernel would go on queueing connections that nobody accepts.
        self.workshop.places.release();
    }

    /// Does what is to be done by now, without waiting.
    fn drive(&mut self) {
        let arriving = self.roll.as_ref().and_then(Roll::arriving);
        for (place, slot) in self.slots.iter_mut().enumerate() {
            let meaning = match self.phase {
                Phase::Serving if arriving == Some(place) => Meaning::Succession,
                Phase::Serving => Meaning::Loss,
                Phase::Starting | Phase::Stopping(_) => Meaning::Final,
            };
            slot.drive(meaning, &mut self.workshop, &mut self.news);
        }
        let roll = self.roll.take();
        self.roll = roll.and_then(|roll| roll.drive(&mut self.slots, &mut self.workshop, &mut self.news));
        if let Some(extra) = &mut self.extra
            && extra.look(&mut self.news.lines)
        {
            tell_final(extra, &mut self.news);
        }
        if let Phase::Stopping(deadline) = self.phase
            && deadline.over()
        {
            self.kill();
        }
    }

    /// The moments at which there is something to do.
    fn due(&self) -> impl Iterator<Item = Deadline> {
        let stop = match self.phase {
            Phase::Stopping(deadline) if self.running() > 0 => Some(deadline),
            _ => None,
        };
        let roll = self.roll.as_ref().and_then(Roll::due);
        self.slots.iter().flat_map(Slot::due).chain(roll).chain(stop)
    }

    fn wait_ready(&mut self) -> Result<(), StartError> {
        let deadline = Deadline::after(self.workshop.spec.ready_timeout);
        loop {
            // Nothing but ends can happen yet.
            for event in self.check() {
                if let Event::Ended { exit, .. } = event {
                    return Err(StartError::Ended(Box::new(exit)));
                }
            }
            if self.processes().all(|instance| instance.state() == State::Ready) {
                return Ok(());
            }
            if self.workshop.spec.cancel.load(Ordering::Relaxed) {
                return Err(StartError::Cancelled);
            }
            match deadline.left() {
                Some(left) => self.sleep(left.min(CANCEL_LATENCY)),
                None => return Err(self.late()),
            }
        }
    }

    fn late(&self) -> StartError {
        let late = self.processes().find(|instance| instance.state() == State::Starting);
        let (instance, stderr) = late.map_or((0, String::new()), |late| (late.number(), late.complaint()));
        StartError::NotReady { instance, timeout: self.workshop.spec.ready_timeout, stderr }
    }

    /// Sleeps until an instance has news, at most for `patience`.
    fn sleep(&self, patience: Duration) {
        let mut news: Vec<PollFd<'_>> = self.processes().flat_map(Instance::news).collect();
        // A patience too long for the kernel's type is an endless one.
        let patience = Timespec::try_from(patience).ok();
        // An interrupted sleep is a short one; every caller looks again anyway.
        let _ = poll(&mut news, patience.as_ref());
    }
}

fn tell_final(ended: &Instance, news: &mut News) {
    let exit = ended.exit().cloned();
    news.events.extend(exit.map(|exit| Event::Ended { exit, next: Next::Nothing }));
}
