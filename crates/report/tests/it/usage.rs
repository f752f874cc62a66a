//! What the target used of its machine.

use report::document::{Document, Run};
use report::summary::{Summary, TargetUse};

use crate::sample::{run, watched};

fn used(run: &Run) -> Option<TargetUse> {
    Summary::of(&Document::Run(Box::new(run.clone()))).usage
}

fn assert_about(value: f64, expected: f64) {
    assert!((value - expected).abs() < expected * 1e-3, "{value} is not about {expected}");
}

#[test]
fn what_was_used_is_divided_by_time_and_by_requests() {
    let used = used(&run("watched")).unwrap();
    // Four times 3.52 s in 10.0622 s, for 31,541 requests.
    assert_about(used.cpus, 1.3993);
    assert_about(used.cpu_us_per_request.unwrap(), 446.40);
    assert_about(used.generator_cpus.unwrap(), 0.298_15);
    assert_eq!((used.machine_cpus, used.threads, used.files), (2, 52, Some(188)));
    assert_eq!(used.rss_bytes, 4 * 10_000 * 1024);
    assert_about(used.written_per_second.unwrap(), 4.0 * 31_544.0 * 1024.0 / 10.0622);
    assert_about(used.written_per_request.unwrap(), 4.0 * 31_544.0 * 1024.0 / 31_541.0);
    let one = &used.instances[3];
    assert_eq!((one.number, one.rss_bytes), (4, 10_000 * 1024));
    assert_about(one.cpus, 0.349_82);
    assert_about(one.cpu_us_per_request.unwrap(), 3_520_000.0 / 7_886.0);
}

#[test]
fn the_memory_of_all_is_that_of_one_moment() {
    let mut run = watched();
    for (instance, peak) in run.instances.iter_mut().zip(0..) {
        let usage = instance.usage.as_mut().unwrap();
        usage.rss_kib = vec![100; 11];
        usage.rss_kib[peak] = 500;
    }
    // One that died early has a shorter column.
    run.instances[3].usage.as_mut().unwrap().rss_kib.truncate(4);
    assert_eq!(
        used(&run).unwrap().rss_bytes,
        (500 + 3 * 100) * 1024,
        "each has its own peak at another time"
    );
}

#[test]
fn what_nobody_told_is_not_known() {
    assert_eq!(used(&run("good")), None);
    let mut run = watched();
    run.instances[0].usage.as_mut().unwrap().written_kib.clear();
    run.instances[1].usage.as_mut().unwrap().files.clear();
    run.instances[2].answered = None;
    (run.generator, run.account.ok) = (None, 0);
    let used = used(&run).unwrap();
    assert_eq!((used.written_per_second, used.written_per_request, used.files), (None, None, None));
    assert_eq!((used.cpu_us_per_request, used.generator_cpus), (None, None));
    assert!(used.instances.iter().all(|one| one.cpu_us_per_request.is_none()), "nobody knows its share");
    assert!(used.cpus > 1.0);
}
