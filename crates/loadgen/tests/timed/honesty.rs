//! A generator that was in its own way says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::lab::{Lab, Sides};
use crate::undisturbed::undisturbed;

#[test]
fn a_generator_that_waits_for_cpus_does_not_call_its_figures_good() {
    undisturbed(|| {
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
    });
}
