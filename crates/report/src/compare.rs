//! What do many runs say side by side? One row for each scenario, machine and plan; repeats are one row.
//!
//! Rows are medians. Whether two of them differ is a question for statistics over their runs, which each row keeps.

mod against;
mod config;
mod export;
mod gate;
mod group;
mod judge;
mod list;
mod machine;
mod metric;
mod natural;
mod pairs;
mod pivot;
mod row;
mod scaling;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

pub use self::export::COMPARISON_SCHEMA;
pub use self::gate::{FailOn, Gate, Held, Passage};
use self::group::{Group, GroupKey};
pub use self::judge::{Difference, Judgement};
pub use self::machine::MachineFacts;
pub use self::metric::{Better, Metric, UnknownMetric, Value};
use self::pivot::Pivot;
pub use self::pivot::UnknownKey;
pub use self::row::{Median, Repeat, Row};
use crate::document::{Document, Figures, Run};
use crate::histogram::Percentile;
use crate::summary::Summary;
use crate::units::counted;
use crate::verdict::Verdict;

/// Runs side by side.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Sorted by scenario (numbers in names by value), then published before measured, then by size of the machine.
    pub rows: Vec<Row>,
    /// Where published rows come from, in the order in which rows refer to them: by place, counted from 1.
    pub sources: Vec<Source>,
    /// What is known of each machine, by its label.
    pub machines: BTreeMap<String, MachineFacts>,
    /// What the reader must know beside the numbers.
    pub notes: Vec<String>,
    /// The figures that are compared.
    pub metrics: Vec<Metric>,
    /// The changes of metrics that count, where they are not those of the metrics themselves.
    pub tolerances: BTreeMap<Metric, f64>,
    /// What makes lines and columns. `None` for a list. [`Comparison::turn`] sets it.
    pivot: Option<Pivot>,
}

/// Keys of two configurations that make them two plans.
pub(crate) fn differing_keys(
    left: &BTreeMap<String, String>,
    right: &BTreeMap<String, String>,
) -> Vec<String> {
    let keys = config::differing(&config::without_ports(left), &config::without_ports(right));
    keys.into_iter().filter(|key| config::makes_a_difference(key)).collect()
}

/// Where published figures come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Title, site, date.
    pub title: String,
    /// The tool that measured.
    pub tool: String,
    /// What a reader must know about the figures, each once.
    pub notes: Vec<SourceNote>,
}

/// What a reader must know about published figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceNote {
    /// In words.
    pub text: String,
    /// The scenarios whose figures it is about.
    pub scenarios: BTreeSet<String>,
}

impl Comparison {
    /// Groups documents into rows. The same run twice counts once.
    pub fn of(documents: Vec<Document>) -> Self {
        Self::with(Vec::new(), documents, &Metric::DEFAULT)
    }

    /// The same for these metrics, and with documents that the others are held against: they are rows of their own.
    pub fn with(baseline: Vec<Document>, documents: Vec<Document>, metrics: &[Metric]) -> Self {
        let mut comparison = Self { metrics: metrics.to_vec(), ..Self::default() };
        let further: Vec<Percentile> = metrics.iter().filter_map(|metric| metric.percentile()).collect();
        let groups = comparison.sort_in(baseline, documents, &further);
        for group in &groups {
            let row = group.row(&groups);
            comparison.notes.extend(group.notes(&row.label()));
            comparison.rows.push(row);
        }
        if comparison.rows.iter().any(|row| row.source.is_none() && row.runs.len() == 1) {
            comparison
                .notes
                .push("n=1: one run cannot tell a difference from noise; repeat it to compare".into());
        }
        comparison.notes.extend(comparison.lonely());
        comparison.rows.sort_by(Row::order);
        comparison.number_sources();
        comparison
    }

    fn sort_in(
        &mut self,
        baseline: Vec<Document>,
        documents: Vec<Document>,
        further: &[Percentile],
    ) -> Vec<Group> {
        let mut groups: BTreeMap<GroupKey, Vec<Run>> = BTreeMap::new();
        let mut seen = BTreeMap::new();
        let (mut copies, mut shared) = (0, BTreeMap::<GroupKey, u64>::new());
        let marked =
            |documents: Vec<Document>, is_baseline| documents.into_iter().map(move |it| (it, is_baseline));
        for (document, is_baseline) in marked(baseline, true).chain(marked(documents, false)) {
            let machine = self.machines.entry(document.machine_label().to_owned()).or_default();
            machine.fill(MachineFacts::of(&document));
            match document {
                Document::Figures(figures) => self.push_figures(&figures),
                Document::Run(run) => {
                    let of_run = (run.machine.label.clone(), run.started_at.clone(), run.id.clone());
                    match seen.entry(of_run) {
                        Entry::Vacant(place) => {
                            let key = GroupKey::of(&run, is_baseline);
                            place.insert((key.clone(), is_baseline));
                            groups.entry(key).or_default().push(*run);
                        }
                        Entry::Occupied(first) => match first.get() {
                            (key, true) if !is_baseline => *shared.entry(key.clone()).or_default() += 1,
                            _ => copies += 1,
                        },
                    }
                }
            }
        }
        if copies > 0 {
            self.notes
                .push(format!("{} left out: the run is there already", counted(copies, "repeated document")));
        }
        let on_both_sides: u64 = shared.values().sum();
        if on_both_sides > 0 {
            let documents = counted(on_both_sides, "document");
            self.notes.push(format!("{documents} left out: the baseline has the run already"));
        }
        let of = |(key, runs)| {
            let shared = shared.get(&key).copied().unwrap_or(0);
            Group::of(key, runs, further).sharing(shared)
        };
        groups.into_iter().map(of).collect()
    }

    fn push_figures(&mut self, figures: &Figures) {
        let known = |source: &Source| source.title == figures.source && source.tool == figures.tool;
        let place = self.sources.iter().position(known).unwrap_or_else(|| {
            let (title, tool) = (figures.source.clone(), figures.tool.clone());
            self.sources.push(Source { title, tool, notes: Vec::new() });
            self.sources.len() - 1
        });
        let notes = &mut self.sources[place].notes;
        for text in &figures.notes {
            match notes.iter_mut().find(|known| known.text == *text) {
                Some(known) => _ = known.scenarios.insert(figures.name.clone()),
                None => notes.push(SourceNote {
                    text: text.clone(),
                    scenarios: BTreeSet::from([figures.name.clone()]),
                }),
            }
        }
        let summary = Summary::of(&Document::Figures(Box::new(figures.clone())));
        self.rows.push(Row {
            scenario: figures.name.clone(),
            differences: Vec::new(),
            machine: figures.machine.label.clone(),
            fingerprint: None,
            cpus: figures.machine.cpus,
            config: figures.config.clone(),
            source: Some(place + 1),
            runs: vec![Repeat::of_figures(figures, summary)],
            verdict: Verdict::Ok,
            is_whole: true,
            shares_cpus: false,
            is_baseline: false,
            shared: 0,
        });
    }

    /// Says what machines cost a month, by their labels: for [`Metric::Cost`]. It goes before what documents say.
    ///
    /// # Errors
    /// The label that no row has.
    pub fn set_prices<'a>(&mut self, prices: &'a [(String, f64)]) -> Result<(), &'a str> {
        for (label, price) in prices {
            if !self.rows.iter().any(|row| row.machine == *label) {
                return Err(label);
            }
            let rows = self.rows.iter_mut().filter(|row| row.machine == *label);
            rows.flat_map(|row| &mut row.runs).for_each(|run| run.price_per_month = Some(*price));
            self.machines.entry(label.clone()).or_default().price_per_month = Some(price.to_string());
        }
        Ok(())
    }

    /// Measured scenarios that the baseline does not have, where there is one.
    fn lonely(&self) -> Option<String> {
        let of = |is_baseline: bool| {
            let measured =
                self.rows.iter().filter(move |row| row.source.is_none() && row.is_baseline == is_baseline);
            measured.map(|row| row.scenario.as_str()).collect::<BTreeSet<&str>>()
        };
        let (baseline, others) = (of(true), of(false));
        let lonely: Vec<&str> = others.difference(&baseline).copied().collect();
        (!baseline.is_empty() && !lonely.is_empty())
            .then(|| format!("the baseline has no run of {}: held against nothing", lonely.join(", ")))
    }

    /// Footnotes stand in the order in which a reader meets their numbers.
    fn number_sources(&mut self) {
        let mut order: Vec<usize> = Vec::new();
        for row in &mut self.rows {
            let Some(source) = row.source else { continue };
            let known = order.iter().position(|&other| other == source);
            row.source = Some(
                1 + known.unwrap_or_else(|| {
                    order.push(source);
                    order.len() - 1
                }),
            );
        }
        self.sources = order.into_iter().map(|source| self.sources[source - 1].clone()).collect();
    }

    /// What is the same in all measured rows: it need not be said of each. Empty where there is one alone.
    pub fn common(&self) -> BTreeMap<&str, &str> {
        let mut measured = self.rows.iter().filter(|row| row.source.is_none());
        let Some(first) = measured.next() else { return BTreeMap::new() };
        let others: Vec<&Row> = measured.collect();
        let is_common = |(key, value): &(&String, &String)| {
            !others.is_empty()
                && !value.is_empty()
                && others.iter().all(|other| other.config.get(*key) == Some(*value))
        };
        first.config.iter().filter(is_common).map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
}
