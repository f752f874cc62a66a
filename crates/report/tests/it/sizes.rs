//! The same plans on machines of two sizes: what is judged, what only stands side by side, and what it comes to by the CPU.

use report::compare::{Comparison, Judgement, Metric};
use report::document::{Document, Run};
use report::store;
use report::table::Page;

use crate::judge::{Order, QUIET, arm, stored};

/// Runs of a store on a machine with so many CPUs, of this scenario.
fn on(cpus: u64, scenario: &str, store: &str, thousands: f64) -> Vec<Run> {
    let order = if store == "pool" { Order::After } else { Order::Base };
    let mut runs = arm(store, order, thousands, &QUIET);
    for run in &mut runs {
        run.name = scenario.into();
        run.id = format!("{}-{scenario}-{cpus}", run.id);
        run.plan_key = format!("{scenario}-{store}");
        run.machine.label = format!("guest-{cpus}cpu");
        run.machine.fingerprint = format!("{cpus}");
        run.machine.cpus_allowed = cpus;
        run.same_machine = Some(true);
        (run.instances, run.verification) = (Vec::new(), None);
        run.config.insert("target.instances".into(), "4".into());
    }
    runs
}

/// Two stores on two machines, in rows `1: group, 1: pool, 2: group, 2: pool`.
fn two_machines() -> Vec<Run> {
    let sizes = [(1, 1.0), (2, 1.5)]
        .map(|(cpus, rate)| [on(cpus, "x", "group", rate), on(cpus, "x", "pool", 0.8 * rate)].concat());
    sizes.concat()
}

fn compared(runs: Vec<Run>, metrics: &[Metric]) -> Comparison {
    Comparison::with(Vec::new(), stored(runs), metrics)
}

#[test]
fn each_machine_has_verdicts_of_its_own() {
    let comparison = compared(two_machines(), &[Metric::Rps]);
    let rps = |it: &&report::compare::Difference| it.metric == Metric::Rps;
    let differences = comparison.differences();
    let pairs: Vec<_> =
        differences.iter().filter(rps).map(|it| (it.row, it.base, it.judgement, it.why.as_deref())).collect();
    let regressed = Some(Judgement::Regressed);
    assert_eq!(
        pairs,
        [(1, 0, regressed, None), (2, 0, None, Some("another machine")), (3, 2, regressed, None)],
        "the group of the larger machine has nothing on it to be judged by"
    );
}

#[test]
fn a_larger_machine_has_a_speed_up_and_an_efficiency_by_its_cpus() {
    let table = |runs: Vec<Run>| compared(runs, &[Metric::Rps]).larger_machines().map(|it| it.markdown());
    let both = table(two_machines()).unwrap();
    let line = |store: &str| {
        let label = format!("| x (target.store={store}) | guest-1cpu to guest-2cpu | 1 to 2 | x1.50 [");
        both.lines().any(|line| line.starts_with(&label) && line.contains("| 75% ["))
    };
    assert!(line("group") && line("pool"), "{both}");
    assert_eq!(both.lines().count(), 4, "each plan by itself: {both}");
    let mut other = two_machines();
    for run in other.iter_mut().filter(|run| run.machine.cpus_allowed == 2) {
        run.config.insert("load.connections".into(), "7".into());
    }
    assert_eq!(table(other), None, "another plan");
    let mut remote = two_machines();
    for run in &mut remote {
        run.same_machine = Some(false);
    }
    assert_eq!(table(remote), None, "nobody knows the CPUs of a target that is elsewhere");
}

#[test]
fn a_rate_by_the_cpu_is_of_the_cpus_that_the_target_had() {
    let metrics = [Metric::Rps, Metric::RpsPerCpu];
    let of = |comparison: &Comparison| {
        let values = comparison.rows.iter().map(|row| row.median(Metric::RpsPerCpu));
        values.map(|median| median.map(|median| median.value.round())).collect::<Vec<_>>()
    };
    let local = compared(two_machines(), &metrics);
    assert_eq!(of(&local), [1_000.0, 800.0, 750.0, 600.0].map(Some));
    let mut runs = two_machines();
    for run in &mut runs {
        run.same_machine = Some(false);
    }
    assert_eq!(of(&compared(runs, &metrics)), [None; 4], "the generator's CPUs are not the target's");
    // On one machine it is the same rate again, and one question.
    let asked: Vec<_> = local.differences().iter().map(|it| (it.row, it.metric)).collect();
    assert!(!asked.contains(&(1, Metric::RpsPerCpu)) && asked.contains(&(2, Metric::RpsPerCpu)), "{asked:?}");
}

#[test]
fn a_rough_rate_is_as_rough_by_the_cpu_and_by_the_price() {
    let path = |name: &str| {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../results/reference/{name}.json"))
    };
    let documents = ["8-instances", "no-database"].map(|name| store::open(&path(name)).unwrap());
    let mut comparison =
        Comparison::with(Vec::new(), documents.into(), &[Metric::Rps, Metric::RpsPerCpu, Metric::Cost]);
    let prices = [("published-2vcpu".to_owned(), 4.0)];
    comparison.set_prices(&prices).unwrap();
    let cells =
        |row: usize| comparison.metrics.iter().map(|it| comparison.rows[row].cell(*it)).collect::<Vec<_>>();
    // 4,600 by 16; 20,000 by 2; $20 and $4 by 2,629,800 seconds and by those rates.
    assert_eq!(cells(0), ["~ 4,600", "~ 287.5", "~ 0.00165"]);
    assert_eq!(cells(1), ["> 20,000", "> 10,000", "< 0.00008"]);
    let bounds: Vec<_> =
        comparison.rows.iter().map(|row| row.rps().map(|median| median.is_lower_bound)).collect();
    assert_eq!(bounds, [Some(false), Some(true)], "for those who read no cells");
}

#[test]
fn two_machines_of_one_name_are_not_told_as_one() {
    let mut runs = two_machines();
    for run in &mut runs {
        run.machine.label = "guest".into();
    }
    let comparison = compared(runs, &[Metric::Rps]);
    let facts = comparison.machines["guest"].to_string();
    assert!(
        facts.starts_with("1 CPU, 4 GiB, ") && facts.contains("; under the same name also 2 CPUs, "),
        "{facts}"
    );
}

/// Four instances of a scenario beside those of another with another load.
fn beside_another_load() -> Comparison {
    let mut longer = on(1, "longer", "pool", 0.9);
    for run in &mut longer {
        run.config.insert("load.duration".into(), "120s".into());
        run.config.insert("target.max_connections".into(), "98".into());
    }
    let mut all = two_machines();
    for run in &mut all {
        run.config.insert("target.max_connections".into(), "0".into());
    }
    compared([all, longer].concat(), &[Metric::Rps])
}

#[test]
fn a_table_of_lines_and_columns_tells_the_plans_behind_it() {
    let mut comparison = beside_another_load();
    let columns = ["target.store", "target.max_connections", "machine"].map(str::to_owned);
    comparison.turn(&["target.instances".to_owned()], &columns).unwrap();
    let text = comparison.markdown();
    let titles = text.lines().find(|line| line.starts_with("| target.instances |")).unwrap();
    let expected = "| target.instances | group, max_connections=0, guest-1cpu | group, max_connections=0, guest-2cpu \
                    | pool, max_connections=0, guest-1cpu | pool, max_connections=0, guest-2cpu \
                    | pool, max_connections=98, guest-1cpu |";
    assert_eq!(titles, expected, "numbers say what they are");
    let cells: Vec<&str> =
        text.lines().find(|line| line.starts_with("| 4 |")).unwrap().split(" | ").collect();
    let ratios: Vec<Option<&str>> =
        cells[1..].iter().map(|cell| cell.split_whitespace().find(|word| word.starts_with('x'))).collect();
    // By nothing; by the other machine; by the group of its machine, twice; by nothing of the same load.
    assert_eq!(ratios, [None, Some("x1.50"), Some("x0.80"), Some("x0.80"), None], "{text}");
    assert!(text.contains("\n- longer: load.duration=120s\n- x: load.duration=10s\n"), "{text}");
    assert!(
        text.contains("\n- x in a cell: by the first cell of its line that it can be judged by"),
        "{text}"
    );
    let against = text.split("Against the base:").nth(1).unwrap();
    assert!(!against.contains("not judged"), "what is not judged needs no line of its own: {against}");
}

#[test]
fn lines_of_machines_have_the_published_ones_among_them() {
    let reference = |name: &str| {
        let path = format!("../../results/reference/{name}.json");
        store::open(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    };
    let mut documents: Vec<Document> = ["4-instances", "no-database"].map(reference).into();
    let mut one = on(2, "x", "group", 1.0);
    for run in &mut one {
        run.plan_key = "one".into();
        run.id += "one";
        run.config.insert("target.instances".into(), "1".into());
    }
    documents.extend(stored([one, on(2, "x", "group", 1.5)].concat()));
    let mut comparison = Comparison::with(Vec::new(), documents, &[Metric::Rps]);
    let keys = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>();
    comparison.turn(&keys(&["target.store", "machine"]), &keys(&["target.instances"])).unwrap();
    let text = comparison.markdown();
    let table: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).take(4).collect();
    assert_eq!(
        table[..3],
        [
            "| target.store, machine | instances=1 | instances=4 | no-database |",
            "| --- | ---: | ---: | ---: |",
            "| published-2vcpu (1) |  | 3,154.1 | > 20,000 |"
        ],
        "{text}"
    );
    assert!(table[3].starts_with("| group, guest-2cpu | 1,000 ±0.3% * | 1,500 ±0.3% * x1.50 ["), "{text}");
}

#[test]
fn a_figure_of_the_generator_is_marked_in_a_cell() {
    let mut runs = on(2, "x", "group", 1.0);
    for run in &mut runs {
        run.same_machine = Some(false);
        run.workers = crate::sample::run("good").workers;
        run.workers[0].run_queue_ns = Some(5 * crate::sample::SECOND);
    }
    let mut comparison = compared(runs, &[Metric::Rps]);
    comparison.turn(&["scenario".to_owned()], &["machine".to_owned()]).unwrap();
    let text = comparison.text(Page::default());
    assert!(text.contains("1,000 ±0.3% client-limited"), "{text}");
}

#[test]
fn a_metric_that_no_run_knows_has_no_number() {
    let metric: Metric = "cpu_us_per_request".parse().unwrap();
    let comparison =
        compared(on(1, "x", "group", 1.0).into_iter().chain(on(1, "x", "pool", 1.0)).collect(), &[metric]);
    assert!(comparison.rows.iter().all(|row| row.cell(metric) == "-"));
    let difference = comparison.differences().into_iter().find(|it| it.metric == metric).unwrap();
    assert_eq!(
        (difference.ratio, difference.judgement, difference.why.as_deref()),
        (None, Some(Judgement::Inconclusive), Some("not known of every run"))
    );
}

#[test]
fn figures_of_no_requests_have_no_ratio() {
    let none = |mut runs: Vec<Run>| {
        for run in &mut runs {
            run.account = report::document::Account::default();
            run.status.clear();
            run.latencies.answered = crate::sample::of([]);
        }
        runs
    };
    let metrics = [Metric::Rps, "p50".parse().unwrap(), Metric::ErrorRate, Metric::Cost];
    let runs = [on(1, "x", "group", 1.0), none(on(1, "x", "pool", 1.0))].concat();
    let mut comparison = Comparison::with(Vec::new(), stored(runs), &metrics);
    comparison.set_prices(&[("guest-1cpu".to_owned(), 4.0)]).unwrap();
    let cells: Vec<String> = metrics.iter().map(|metric| comparison.rows[1].cell(*metric)).collect();
    assert_eq!(cells, ["0", "-", "-", "-"]);
    for difference in comparison.differences() {
        assert_eq!(
            (difference.ratio, difference.judgement),
            (None, Some(Judgement::Inconclusive)),
            "{difference:?}"
        );
        assert!(difference.why.is_some(), "{difference:?}");
    }
    let documents: Vec<Document> = stored(none(on(1, "x", "pool", 1.0)));
    assert!(Comparison::with(Vec::new(), documents, &metrics).text(Page::default()).contains("n=5"));
}

/// What is said of a law over 1, 2, 4 and 8 instances.
fn law(sigma: f64, kappa: f64) -> String {
    let sizes = [1, 2, 4, 8].map(|instances: u32| {
        let size = f64::from(instances);
        let rate = 2.0 * size / (1.0 + sigma * (size - 1.0) + kappa * size * (size - 1.0));
        let mut runs = on(2, "x", "group", rate);
        for run in &mut runs {
            run.id = format!("{}-{instances}", run.id);
            run.plan_key = instances.to_string();
            run.config.insert("target.instances".into(), instances.to_string());
        }
        runs
    });
    let [law] = compared(sizes.concat(), &[Metric::Rps]).scaling().try_into().unwrap();
    law
}

#[test]
fn a_law_is_told_in_words() {
    let amdahl = law(0.05, 0.0);
    assert!(
        amdahl.contains(": 5% of the work is done by one at a time, no evidence of a peak ("),
        "{amdahl}"
    );
    let peak = law(0.05, 0.02);
    assert!(peak.contains(" req/s, at 7 instances, and more carry less ("), "{peak}");
    // 2000, 1250, 755 and 428: nobody may call that "no evidence of a peak".
    let falling = law(1.2, 0.5);
    assert!(
        falling
            .contains("each waits for the others longer than it works, one carries the most, each further"),
        "{falling}"
    );
}

#[test]
fn a_warning_is_counted_with_those_that_are_as_grave() {
    let notes = |same_machine| {
        let mut runs = on(2, "x", "group", 1.0);
        for (run, waited) in runs.iter_mut().zip([300, 5_000, 300, 0, 0]) {
            run.same_machine = Some(same_machine);
            run.workers = crate::sample::run("good").workers;
            run.workers[0].run_queue_ns = Some(waited * crate::sample::MS);
        }
        let notes = compared(runs, &[Metric::Rps]).notes;
        notes.into_iter().filter(|note| note.contains(" waited ")).collect::<Vec<_>>()
    };
    let [suspect, limited] = notes(false).try_into().unwrap();
    assert!(suspect.starts_with("x on guest-2cpu, 2 of 5 runs: suspect: "), "{suspect}");
    assert!(limited.starts_with("x on guest-2cpu, 1 of 5 runs: client-limited: "), "{limited}");
    assert_eq!(notes(true), Vec::<String>::new(), "the mark of shared CPUs says it");
}
