//! How do rows look below each other, for a person?

use std::collections::BTreeSet;

use super::metric::{LESS_THAN, MORE_THAN};
use super::{Comparison, Median, Metric, Row, SourceNote};
use crate::defaults;
use crate::table::{Align, Page, Table, markdown_cell, wrapped};
use crate::units::{count, counted, one_line, share};
use crate::verdict::Verdict;

/// A row names so many differences from its neighbours, and counts the rest.
const DIFFERENCES: usize = 3;
/// Characters of a value that all rows have in common, such as the configuration of a proxy: more say nothing in a line.
const LONGEST: usize = 60;
/// Further lines of a note begin so.
const INDENT: &str = "    ";
/// What may be left out of a narrow page, the first of it first: what is told elsewhere, then what is less asked for.
const SPARE: [&str; 5] = ["conns", "instances", "timeouts", "max", "mean"];
/// The figures that say how far a tail lies from its own median.
const TAILS: [&str; 3] = ["p90/p50", "p99/p50", "max/p50"];

/// A number of a row that is no figure of its runs.
type Number = fn(&Row) -> Option<u64>;

impl Comparison {
    /// The table of figures alone.
    pub fn table(&self) -> Table {
        use Align::{Left, Right};
        let shown = self.shown_keys();
        let mut titles: Vec<(String, Align)> = vec![("scenario".into(), Left), ("machine".into(), Left)];
        titles.extend(shown.iter().map(|(title, _)| ((*title).to_owned(), Right)));
        titles.extend(self.metrics.iter().map(|metric| (metric.title(), Right)));
        titles.push(("runs".into(), Left));
        let mut table = Table::new(titles);
        table.spare(&SPARE);
        for row in &self.rows {
            let numbers = shown.iter().map(|(_, number)| number(row).map_or_else(|| "-".into(), count));
            let mut cells = vec![row.label(), row.place()];
            cells.extend(numbers);
            cells.extend(self.metrics.iter().map(|&metric| row.cell(metric)));
            cells.push(row.ran());
            table.push(cells);
        }
        table
    }

    /// What lies beside the metrics: numbers that are the same in all rows need no column.
    fn shown_keys(&self) -> Vec<(&'static str, Number)> {
        let keys: [(&'static str, Number); 2] = [("instances", Row::instances), ("conns", Row::connections)];
        let differs = |number: Number| {
            let first = self.rows.iter().find_map(number);
            self.rows.iter().any(|row| number(row).is_some() && number(row) != first)
        };
        keys.into_iter().filter(|&(_, number)| differs(number)).collect()
    }

    /// How far the tails of published rows lie from their own medians, for those that stand beside nothing measured: no
    /// ratio of two workloads means anything, and that of a table to its own middle does.
    pub fn tails(&self) -> Option<Table> {
        let tails: Vec<Metric> = TAILS.iter().filter_map(|name| name.parse().ok()).collect();
        let titles = tails.iter().map(|metric| (metric.title(), Align::Right));
        let mut table = Table::new([("scenario".to_owned(), Align::Left)].into_iter().chain(titles));
        let is_measured =
            |name: &str| self.rows.iter().any(|row| row.source.is_none() && row.scenario == name);
        for row in self.rows.iter().filter(|row| row.source.is_some() && !is_measured(&row.scenario)) {
            if tails.iter().any(|&tail| row.median(tail).is_some()) {
                let cells = tails.iter().map(|&tail| row.cell(tail));
                let source = row.source.unwrap_or_default();
                let label = format!("{} ({source})", one_line(&row.scenario));
                table.push([label].into_iter().chain(cells).collect());
            }
        }
        (!table.is_empty()).then_some(table)
    }

    /// Everything, for a terminal or a text file.
    pub fn text(&self, page: Page) -> String {
        let mut parts: Vec<String> = self.common_line().map(|line| lines(&line, page)).into_iter().collect();
        let mut left_out: BTreeSet<String> = BTreeSet::new();
        for (title, table) in self.tables() {
            let fitted = table.fitted(page);
            left_out.extend(fitted.left_out);
            let title = if title.is_empty() { title } else { lines(&title, page) + "\n" };
            parts.push(title + &fitted.text);
        }
        let mut notes = self.footnotes();
        if !left_out.is_empty() {
            let left_out: Vec<String> = left_out.into_iter().collect();
            notes.push(format!(
                "no room for {}: --metrics chooses, a wider terminal or a file has all",
                left_out.join(", ")
            ));
        }
        if !notes.is_empty() {
            parts.push(notes.iter().map(|note| lines(note, page)).collect());
        }
        parts.join("\n")
    }

    /// The same for a page or a pull request.
    pub fn markdown(&self) -> String {
        let common = self.common_line().map(|line| markdown_cell(&line) + "\n");
        let mut parts: Vec<String> = common.into_iter().collect();
        for (title, table) in self.tables() {
            let title = if title.is_empty() { title } else { title + "\n\n" };
            parts.push(title + &table.markdown());
        }
        let notes = self.footnotes();
        if !notes.is_empty() {
            let notes: Vec<String> =
                notes.iter().map(|note| format!("- {}\n", markdown_cell(note))).collect();
            parts.push(notes.concat());
        }
        parts.join("\n")
    }

    /// Every table with what stands above it, empty for the first.
    fn tables(&self) -> Vec<(String, Table)> {
        let mut tables = match &self.pivot {
            Some(pivot) => self.turned(pivot),
            None => vec![(String::new(), self.table())],
        };
        let further = [
            ("Against the base:", self.against()),
            ("More instances, where nothing else differs:", self.speed_ups()),
            ("The same plan on more CPUs:", self.larger_machines()),
            ("Published tails, each against its own median:", self.tails()),
        ];
        tables.extend(further.into_iter().filter_map(|(title, table)| Some((title.to_owned(), table?))));
        tables
    }

    fn common_line(&self) -> Option<String> {
        let (usual, chosen): (Vec<_>, Vec<_>) =
            self.common().into_iter().partition(|(key, value)| defaults::is_default(key, value));
        let pair = |(key, value): &(&str, &str)| format!("{key}={}", short(&one_line(value)));
        let mut pairs: Vec<String> = chosen.iter().map(pair).collect();
        if !(usual.is_empty() || chosen.is_empty()) {
            pairs.push(format!("and {} by default", counted(usual.len() as u64, "other key")));
        }
        (!pairs.is_empty()).then(|| format!("Measured here, in all rows: {}", pairs.join(", ")))
    }

    fn footnotes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (source, number) in self.sources.iter().zip(1_usize..) {
            notes.push(format!(
                "({number}) published, not measured here: {}, with {}",
                one_line(&source.title),
                one_line(&source.tool)
            ));
            let rows = self.rows.iter().filter(|row| row.source == Some(number));
            let all: BTreeSet<&String> = rows.map(|row| &row.scenario).collect();
            for SourceNote { text, scenarios } in &source.notes {
                let text = one_line(text);
                notes.push(if scenarios.len() == all.len() {
                    format!("({number}) {text}")
                } else {
                    let about: Vec<String> = scenarios.iter().map(|name| one_line(name)).collect();
                    format!("({number}) {}: {text}", about.join(", "))
                });
            }
        }
        notes.extend(self.plans());
        let machines = self.machines.iter().map(|(label, facts)| (label, facts.to_string()));
        let known = machines.filter(|(_, facts)| !facts.is_empty());
        notes.extend(known.map(|(label, facts)| one_line(&format!("{label}: {facts}"))));
        if self.rows.iter().any(|row| row.shares_cpus) {
            notes.push(
                "* generator and target ran on the same CPUs: the figures are of both, and `suspect` where one waited for the other"
                    .into(),
            );
        }
        let has_spread = |row: &Row| self.metrics.iter().any(|&metric| row.spread(metric).is_some());
        if self.rows.iter().any(has_spread) {
            notes.push(
                "± how far repeats lie from their median; from six runs on, how far the 95% interval of the median reaches"
                    .into(),
            );
        }
        let measured = self.rows.iter().filter(|row| row.source.is_none()).map(|row| row.runs.len());
        if let (true, Some(fewest), Some(most)) =
            (self.pivot.is_some(), measured.clone().min(), measured.max())
        {
            notes.push(if fewest == most {
                format!("runs in each measured cell: {most}")
            } else {
                format!("runs in each measured cell: {fewest} to {most}")
            });
        }
        notes.extend(self.note_on_cells());
        if self.against().is_some() {
            notes.extend(self.notes_on_differences());
        }
        if self.speed_ups().is_some() {
            notes.push("efficiency: the speed-up by how many times as many instances there are".into());
        }
        if self.larger_machines().is_some() {
            notes.push(
                "efficiency of a larger machine: the speed-up by how many times as many CPUs it has, whatever else it is made of".into(),
            );
        }
        notes.extend(self.scaling());
        notes.extend(self.notes.iter().map(|note| one_line(note)));
        notes
    }
}

/// The beginning of a longer value; the JSON has all of it.
fn short(value: &str) -> String {
    if value.chars().count() <= LONGEST {
        return value.to_owned();
    }
    value.chars().take(LONGEST - 3).chain("...".chars()).collect()
}

fn lines(text: &str, page: Page) -> String {
    let Some(width) = page.width else { return format!("{text}\n") };
    let mut lines = wrapped(text, width.saturating_sub(INDENT.len())).into_iter();
    let first = lines.next().unwrap_or_default() + "\n";
    lines.fold(first, |text, line| text + INDENT + line.trim_start() + "\n")
}

impl Row {
    /// Its scenario, and in what it differs from others of it.
    pub fn label(&self) -> String {
        let name = one_line(&self.scenario);
        if self.differences.is_empty() {
            return name;
        }
        let mut named: Vec<String> = self.differences.iter().take(DIFFERENCES).cloned().collect();
        if self.differences.len() > DIFFERENCES {
            named.push(format!("{} more", self.differences.len() - DIFFERENCES));
        }
        format!("{name} ({})", one_line(&named.join(", ")))
    }

    /// Its machine, with the mark of published figures or of shared CPUs.
    fn place(&self) -> String {
        let machine = one_line(&self.machine);
        match self.source {
            Some(source) => format!("{machine} ({source})"),
            None if self.shares_cpus => machine + " *",
            None => machine,
        }
    }

    fn ran(&self) -> String {
        match self.source {
            Some(_) => "published".into(),
            None if self.verdict == Verdict::Ok => format!("n={}", self.runs.len()),
            None => format!("n={} {}", self.runs.len(), self.verdict.name()),
        }
    }

    /// Its median of a metric with its spread: `3,144 ±1.2%`, `12`, `>= 20 s`, `~ 4,600`, `-`.
    pub fn cell(&self, metric: Metric) -> String {
        let Some(median) = self.median(metric) else { return "-".into() };
        let Median { value, largest, is_lower_bound, .. } = median;
        let text = metric.write(value);
        if metric.is_count() {
            let most = metric.write(largest);
            return if most == text { text } else { format!("{text} (max {most})") };
        }
        // Signs are as clear as words in a column of numbers, and a third as wide.
        let text = match self.qualifier(metric) {
            Some("about") => format!("~ {text}"),
            Some(LESS_THAN) => format!("< {text}"),
            Some(MORE_THAN) => format!("> {text}"),
            Some(qualifier) => format!("{} {text}", one_line(qualifier)),
            None if is_lower_bound => format!(">= {text}"),
            None => text,
        };
        match self.spread(metric) {
            Some(spread) => format!("{text} ±{}", percent(spread)),
            None => text,
        }
    }

    /// In what sense a published figure is rough, in words: `about`, `more than`, `less than`. `None` for a figure that is as exact as it was measured.
    pub(super) fn qualifier(&self, metric: Metric) -> Option<&str> {
        let qualifier = self.runs.first()?.summary.rps_qualifier.as_deref()?;
        match (metric, qualifier) {
            // A machine that answers more, costs less for each; one that answers less, more.
            (Metric::Cost, MORE_THAN) => Some(LESS_THAN),
            (Metric::Cost, LESS_THAN) => Some(MORE_THAN),
            (Metric::Rps | Metric::RpsPerCpu | Metric::Cost, _) => Some(qualifier),
            _ => None,
        }
    }

    fn spread(&self, metric: Metric) -> Option<f64> {
        self.median(metric)?.spread().filter(|_| !metric.is_count())
    }
}

/// A share in as few digits as say something: `0.4%`, `12%`.
pub(super) fn percent(part: f64) -> String {
    let rounded = if part < 0.1 { (part * 1e3).round() / 1e3 } else { (part * 1e2).round() / 1e2 };
    share(rounded)
}
