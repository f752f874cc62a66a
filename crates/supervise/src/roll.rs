//! A rolling restart: one instance after the other gets a successor on the same sockets.

use std::collections::VecDeque;

use crate::clock::Deadline;
use crate::instance::Instance;
use crate::lines::Lines;
use crate::slot::{News, Slot, Workshop};
use crate::{Event, Next, Reason, StartError, State};

/// A rolling restart under way.
#[derive(Debug)]
pub(crate) struct Roll {
    /// Where it has not been yet: places of slots.
    ahead: VecDeque<usize>,
    step: Step,
}

/// What it waits for.
#[derive(Debug)]
enum Step {
    /// For nothing: the next instance is to be replaced.
    Between,
    /// For a successor to be ready.
    Arriving { slot: usize, successor: Instance, deadline: Deadline },
    /// For a predecessor to end.
    Leaving { predecessor: Instance, deadline: Deadline },
}

impl Roll {
    pub(crate) fn new(slots: usize) -> Self {
        Self { ahead: (0..slots).collect(), step: Step::Between }
    }

    /// The slot whose successor has been started and is not ready yet.
    pub(crate) fn arriving(&self) -> Option<usize> {
        match self.step {
            Step::Arriving { slot, .. } => Some(slot),
            _ => None,
        }
    }

    /// The process that it has beside those in the slots.
    pub(crate) fn extra(&self) -> Option<&Instance> {
        match &self.step {
            Step::Between => None,
            Step::Arriving { successor: extra, .. } | Step::Leaving { predecessor: extra, .. } => Some(extra),
        }
    }

    pub(crate) fn extra_mut(&mut self) -> Option<&mut Instance> {
        match &mut self.step {
            Step::Between => None,
            Step::Arriving { successor: extra, .. } | Step::Leaving { predecessor: extra, .. } => Some(extra),
        }
    }

    /// The same, when the restart is given up.
    pub(crate) fn into_extra(self) -> Option<Instance> {
        match self.step {
            Step::Between => None,
            Step::Arriving { successor: extra, .. } | Step::Leaving { predecessor: extra, .. } => Some(extra),
        }
    }

    /// The next moment at which there is something to do.
    pub(crate) fn due(&self) -> Option<Deadline> {
        match self.step {
            Step::Between => None,
            Step::Arriving { deadline, .. } | Step::Leaving { deadline, .. } => Some(deadline),
        }
    }

    /// Goes on as far as it can without waiting; `None` when it is over.
    pub(crate) fn drive(
        mut self,
        slots: &mut [Slot],
        workshop: &mut Workshop,
        news: &mut News,
    ) -> Option<Self> {
        loop {
            self.step = match self.step {
                Step::Between => {
                    let Some(slot) = self.ahead.pop_front() else {
                        news.events.push(Event::Rolled);
                        return None;
                    };
                    slots[slot].close();
                    match slots[slot].successor(workshop) {
                        Ok(successor) => {
                            let deadline = Deadline::after(workshop.spec.ready_timeout);
                            Step::Arriving { slot, successor, deadline }
                        }
                        Err(error) => return give_up(&mut slots[slot], workshop, news, error),
                    }
                }
                Step::Arriving { slot, mut successor, deadline } => {
                    match arrival(&mut successor, deadline, workshop, news) {
                        Some(Err(error)) => return give_up(&mut slots[slot], workshop, news, error),
                        Some(Ok(())) => change(&mut slots[slot], successor, workshop, news),
                        None => {
                            self.step = Step::Arriving { slot, successor, deadline };
                            return Some(self);
                        }
                    }
                }
                Step::Leaving { mut predecessor, deadline } => {
                    if !departure(&mut predecessor, deadline, &mut news.lines) {
                        self.step = Step::Leaving { predecessor, deadline };
                        return Some(self);
                    }
                    tell(&predecessor, Next::Replaced, news);
                    Step::Between
                }
            }
        }
    }
}

/// Whether a successor is ready, or why it never will be; `None` while it may still become so.
fn arrival(
    successor: &mut Instance,
    deadline: Deadline,
    workshop: &Workshop,
    news: &mut News,
) -> Option<Result<(), StartError>> {
    if successor.look(&mut news.lines) {
        tell(successor, Next::PredecessorStays, news);
        let exit = successor.exit()?;
        return Some(Err(StartError::Ended(Box::new(exit.clone()))));
    }
    if successor.state() == State::Ready {
        return Some(Ok(()));
    }
    if !deadline.over() {
        return None;
    }
    let (instance, timeout) = (successor.number(), workshop.spec.ready_timeout);
    successor.kill(Reason::Late, &mut news.lines);
    tell(successor, Next::PredecessorStays, news);
    Some(Err(StartError::NotReady { instance, timeout, stderr: successor.complaint() }))
}

/// Puts a ready successor in its predecessor's place.
fn change(slot: &mut Slot, successor: Instance, workshop: &Workshop, news: &mut News) -> Step {
    news.events.push(Event::Succeeded { instance: slot.number, pid: successor.pid() });
    let mut predecessor = slot.succeeded_by(successor);
    if !predecessor.running() {
        return Step::Between;
    }
    predecessor.ask();
    Step::Leaving { predecessor, deadline: Deadline::after(workshop.spec.stop_timeout) }
}

/// Whether a predecessor has ended, if need be by force.
fn departure(predecessor: &mut Instance, deadline: Deadline, lines: &mut Lines) -> bool {
    predecessor.look(lines) || (deadline.over() && predecessor.kill(Reason::Killed, lines))
}

fn give_up(slot: &mut Slot, workshop: &Workshop, news: &mut News, error: StartError) -> Option<Roll> {
    news.events.push(Event::RollStopped { instance: slot.number, error });
    slot.left_alone(workshop);
    None
}

fn tell(ended: &Instance, next: Next, news: &mut News) {
    news.events.extend(ended.exit().cloned().map(|exit| Event::Ended { exit, next }));
}
