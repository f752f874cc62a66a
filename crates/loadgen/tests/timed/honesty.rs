//! A generator that was in its own way, or stopped, or too slow, says so of itself and not of the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use loadgen::truth::{Answer, Truth};
use report::document::{Document, Run};
use report::histogram::Percentile;
use report::summary::Summary;
use report::verdict::Verdict;
use report::warning::{self, Warning};
use rustix::process::Signal;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::helper::{Ended, Place, until};
use crate::lab::{Lab, Sides, alone};
use crate::needs;
use crate::undisturbed::undisturbed;

fn prompt() -> Truth {
    Truth::start(|_| Answer::ok(10).into()).unwrap()
}

fn verdict(run: &Run) -> (Verdict, Vec<String>) {
    let document = Document::Run(Box::new(run.clone()));
    let warnings = warning::of(&document, &Summary::of(&document));
    (warning::verdict(&warnings), warnings.iter().map(Warning::line).collect())
}

#[test]
fn a_generator_that_was_stopped_was_the_limit_and_its_target_did_not_queue() {
    undisturbed(|| {
        let (place, truth) = (Place::new(), prompt());
        let words =
            ["--rate", "500", "--arrival", "uniform", "-z", "4s", "-c", "10", "-o", "json", &truth.url("/")];
        let running = place.start(&words);
        until("answers", || (truth.counts().answers > 300).then_some(()));
        running.signal(Signal::STOP);
        thread::sleep(Duration::from_secs(1));
        running.signal(Signal::CONT);
        let run = running.wait().document();
        let (verdict, reasons) = verdict(&run);
        assert_eq!(verdict, Verdict::ClientLimited, "{reasons:?}");
        assert!(reasons.iter().any(|reason| reason.contains("stood still for")), "{reasons:?}");
        // With ten connections, 490 of the 500 requests that fell due meanwhile found none that was not already late.
        let p99 = |of: &report::histogram::Distribution| {
            of.to_histogram().unwrap().value_at(Percentile::P99).unwrap()
        };
        let (lag, service) = (p99(&run.latencies.lag), p99(&run.latencies.service));
        assert!(lag > 800_000_000, "of a stop of 1 s in 4 s the p99 is 0.96 s, not {lag} ns");
        assert!(service < 500_000_000, "{service} ns");
    });
}

#[test]
fn what_stops_the_generator_in_the_warm_up_is_not_held_against_the_run() {
    undisturbed(|| {
        let (place, truth) = (Place::new(), prompt());
        let running = place.start(&["--warmup", "3s", "-z", "1s", "-c", "2", "-o", "json", &truth.url("/")]);
        until("answers", || (truth.counts().answers > 0).then_some(()));
        running.signal(Signal::STOP);
        thread::sleep(Duration::from_secs(1));
        running.signal(Signal::CONT);
        let run = running.wait().document();
        let generator = run.generator.unwrap();
        assert!(generator.hiccup.max_ns < 900_000_000, "{generator:?}");
        assert!(generator.watched_ns < 3_000_000_000, "{generator:?}");
    });
}

/// Too much for one connection: a hundred answers a second where two hundred are due. All are sent, half of them late.
fn too_much(strict: &[&str]) -> Ended {
    let truth = Truth::start(|_| Answer::ok(10).after(Duration::from_millis(10)).into()).unwrap();
    let url = truth.url("/");
    let words = ["--rate", "200", "-z", "1s", "-c", "1", &url];
    Place::new().run(&[&words, strict].concat())
}

#[test]
fn a_rate_that_was_not_reached_is_an_error_only_to_the_strict() {
    undisturbed(|| {
        let lax = too_much(&[]);
        assert_eq!(lax.code, 0, "{lax:?}");
        assert!(lax.stdout.contains("\nthe rate was not reached: "), "{}", lax.stdout);
        assert!(lax.stdout.contains("\nverdict: "), "{}", lax.stdout);
        let strict = too_much(&["--strict"]);
        assert_eq!(strict.code, 4, "{strict:?}");
        strict.assert_hey();
        // Where a hypervisor gave the CPUs to others, that is objected to first.
        let stolen = "client-limited: the hypervisor gave ";
        let is_stolen = strict.stdout.contains(&format!("\nverdict: {stolen}"));
        let objection = if is_stolen { stolen } else { "the rate was not reached: " };
        assert!(strict.stdout.contains("\nthe rate was not reached: "), "{}", strict.stdout);
        assert!(strict.stderr.contains(&format!("loadgen: --strict: {objection}")), "{}", strict.stderr);
    });
}

/// The calling thread, and what it starts from now on, runs on this CPU alone.
fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).unwrap();
}

#[test]
fn a_generator_beside_a_busy_loop_is_not_ok() {
    let _alone = alone();
    let allowed = sched_getaffinity(None).unwrap();
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let [.., _, last] = cpus[..] else {
        needs::leave_out("with one CPU, the target would be in the way too");
        return;
    };
    let truth = prompt();
    let is_over = Arc::new(AtomicBool::new(false));
    let spin = |_| {
        let is_over = Arc::clone(&is_over);
        thread::spawn(move || {
            pin(last);
            while !is_over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        })
    };
    let busy = [0, 1].map(spin);
    let place = Place::new();
    let ended = thread::scope(|scope| {
        let pinned = scope.spawn(|| {
            pin(last);
            place.run(&["--rate", "500", "-z", "4s", "-c", "20", "-o", "json", &truth.url("/")])
        });
        pinned.join().unwrap()
    });
    is_over.store(true, Ordering::Relaxed);
    for thread in busy {
        thread.join().unwrap();
    }
    let (verdict, reasons) = verdict(&ended.document());
    assert_ne!(verdict, Verdict::Ok, "{reasons:?}");
}

#[test]
fn a_generator_that_waits_for_cpus_does_not_call_its_figures_good() {
    let _alone = alone();
    let lab = Lab::new("/");
    let stop = Arc::new(AtomicBool::new(false));
    // Three busy threads for every CPU: the generator gets a quarter of what it wants.
    let number = thread::available_parallelism().unwrap().get() * 3;
    let busy: Vec<_> = (0..number)
        .map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || while !stop.load(Ordering::Relaxed) {})
        })
        .collect();
    let Sides { run, text, verdict, .. } = lab.load("-z 2s -c 50");
    stop.store(true, Ordering::Relaxed);
    for thread in busy {
        thread.join().unwrap();
    }
    assert!(run.account.ok > 0);
    assert_ne!(verdict, "ok", "{text}");
}
