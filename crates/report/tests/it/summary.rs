use report::document::{Document, Figures, FiguresMachine, Run};
use report::histogram::Percentile;
use report::summary::{Model, Summary, unanswered};

use crate::sample::{MS, SECOND, of, run};

fn summary(run: Run) -> Summary {
    Summary::of(&Document::Run(Box::new(run)))
}

/// Rates compare to four decimals: what hey prints.
fn close(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|value| (value - expected).abs() < 0.000_05)
}

#[test]
fn rates_by_both_definitions() {
    let of = summary(run("good"));
    assert!(close(of.rps, 31_441.0 / 10.0), "ours: answered in the window, by the window: {:?}", of.rps);
    assert!(close(of.rps_hey, 31_541.0 / 10.0622), "hey's: everything, by the whole time: {:?}", of.rps_hey);
    let of = summary(run("timeouts"));
    assert!(close(of.rps, 67_611.0 / 120.0), "timeouts are no throughput: {:?}", of.rps);
    assert!(close(of.rps_hey, 67_623.0 / 120.0622), "{:?}", of.rps_hey);
    let of = summary(run("refused"));
    assert!(close(of.rps, 0.0) && close(of.rps_hey, 5_010.0 / 2.0622), "{of:?}");
}

#[test]
fn errors_are_everything_but_good_answers() {
    let of = summary(run("rate"));
    assert_eq!((of.answered, of.errors, of.timeouts), (Some(19_000), Some(573), Some(0)));
    assert!(close(of.error_rate, 573.0 / 19_073.0));
    assert_eq!(of.model, Some(Model::Open));
    let of = summary(run("interrupted"));
    assert_eq!((of.answered, of.errors, of.model), (Some(360), Some(40), Some(Model::Closed)));
}

#[test]
fn unanswered_requests_are_in_the_distribution_as_lower_bounds() {
    let mut run = run("good");
    run.latencies.answered = of((1..=360).map(|i| i * MS));
    run.latencies.censored = of([20 * SECOND; 40]);
    let latency = summary(run).latency;
    assert_eq!((latency.count, latency.censored), (Some(400), 40));
    assert_eq!((latency.fastest_ns, latency.slowest_ns), (Some(MS), Some(20 * SECOND)));
    let at = |percentile| *latency.at(percentile).unwrap();
    assert!(!at(Percentile::P90).is_lower_bound, "rank 360 is the last answered one");
    assert_eq!(latency.first_lower_bound(), Percentile::from_percent(95.0));
    assert_eq!(at(Percentile::P99).value_ns, 20 * SECOND);
    assert!(!at(Percentile::P99).is_supported && at(Percentile::P90).is_supported);
    assert!((latency.average_ns.unwrap() - (360.0 * 180.5e6 + 40.0 * 20e9) / 400.0).abs() < 1.0);
}

#[test]
fn a_percentile_that_giving_up_could_have_moved_is_a_lower_bound() {
    let mut run = run("good");
    // Had the one given up at 50 ms never been answered, the 99th of a hundred would be the slowest answer.
    run.latencies.answered = of((1..=98).chain([200]).map(|i| i * MS));
    run.latencies.censored = of([50 * MS]);
    let latency = summary(run).latency;
    assert!(!latency.at(Percentile::HEY[1]).unwrap().is_lower_bound);
    assert!(latency.at(Percentile::P99).unwrap().is_lower_bound, "98 ms, or 200 ms");
}

#[test]
fn connecting_counts_as_zero_on_kept_connections() {
    let mut run = run("good");
    run.latencies.answered = of([MS; 1000]);
    run.latencies.connect = of([2 * MS; 100]);
    let connect = summary(run.clone()).phases.unwrap().connect;
    assert!((connect.average_ns - 200_000.0).abs() < 1.0);
    assert_eq!((connect.fastest_ns, connect.slowest_ns), (0, 2 * MS));
    run.connections.reused = 0;
    assert_eq!(summary(run).phases.unwrap().connect.fastest_ns, 2 * MS);
}

#[test]
fn nothing_answered_gives_no_numbers_rather_than_nan() {
    let of = summary(run("refused"));
    assert_eq!(of.latency.count, Some(0));
    assert_eq!((of.latency.average_ns, of.latency.fastest_ns, of.latency.quantiles.len()), (None, None, 0));
    assert_eq!(of.error_rate, Some(1.0));
    let mut run = run("refused");
    run.window.measured_ns = 0;
    run.window.wall_ns = 0;
    let of = summary(run);
    assert_eq!((of.rps, of.rps_hey), (None, None), "no time, no rate");
}

#[test]
fn error_rows_are_kinds_sorted_by_name() {
    assert_eq!(unanswered(&run("rate")), [("closed-idle", 1), ("reset", 72)]);
    assert_eq!(unanswered(&run("timeouts")), [("timeout", 12)]);
    assert_eq!(unanswered(&run("interrupted")), [("aborted", 40)]);
    assert_eq!(unanswered(&run("good")), []);
}

fn figures() -> Figures {
    Figures {
        schema: report::document::FIGURES_SCHEMA.into(),
        name: "x".into(),
        source: "a page".into(),
        tool: "hey".into(),
        machine: FiguresMachine::default(),
        config: [("load.connections".to_owned(), "100".to_owned())].into(),
        rps: Some(563.2331),
        rps_qualifier: None,
        status: [(200, 67_611)].into(),
        timeouts: Some(12),
        total_s: Some(120.0622),
        slowest_s: None,
        fastest_s: Some(0.023),
        average_s: None,
        percentiles_s: [("99".to_owned(), 0.3939), ("50".to_owned(), 0.1626)].into(),
        notes: Vec::new(),
    }
}

fn of_figures(figures: Figures) -> Summary {
    Summary::of(&Document::Figures(Box::new(figures)))
}

#[test]
fn figures_say_only_what_their_source_said() {
    let of = of_figures(figures());
    assert_eq!((of.rps, of.rps_hey), (None, Some(563.2331)), "hey's figure is of hey's definition");
    assert_eq!(
        (of.answered, of.timeouts, of.connections, of.instances),
        (Some(67_611), Some(12), Some(100), None)
    );
    assert_eq!((of.latency.fastest_ns, of.latency.slowest_ns), (Some(23 * MS), None));
    assert_eq!(of.latency.at(Percentile::P50).unwrap().value_ns, 162_600_000);
    assert_eq!(of.latency.at(Percentile::P90), None);
    assert!(of.phases.is_none() && of.body_bytes.is_none());

    let of = of_figures(Figures { tool: "wrk".into(), ..figures() });
    assert_eq!((of.rps, of.rps_hey, of.errors), (Some(563.2331), None, None));
    let of = of_figures(Figures { status: [].into(), timeouts: None, rps: None, ..figures() });
    assert_eq!((of.answered, of.errors, of.rate()), (None, None, None));
}

#[test]
fn hey_counts_failures_in_its_rate_so_they_can_be_told() {
    // 563.2331 x 120.0622 = 67,623 requests, of which 67,611 were answered.
    let of = of_figures(figures());
    assert_eq!((of.sent, of.errors), (Some(67_623), Some(12)));
    let rough = of_figures(Figures { rps_qualifier: Some("about".into()), ..figures() });
    assert_eq!((rough.sent, rough.errors), (None, None));
    let odd = of_figures(Figures { rps: Some(563.2371), ..figures() });
    assert_eq!(odd.sent, None, "no whole number of requests gives that rate");
}
