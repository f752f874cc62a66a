//! The runs of a series in a line each, as wide as the terminal: what was measured at the end, what would be before.

use std::path::PathBuf;
use std::time::Duration;

use report::document::Document;
use report::format::cell;
use report::histogram::Percentile;
use report::summary::Summary;
use report::table::{Align, Table};
use report::{units, warning};

use super::exit::Exit;
use crate::series::{Forecast, Turn, about};

/// Runs that are not there are named up to this number.
const MISSING: usize = 10;
/// Characters of a scenario's name and of a document's that are always shown.
const FEWEST: usize = 13;

/// A run that has a document.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    pub(super) document: Document,
    /// Whether the run came to its end.
    pub(super) is_whole: bool,
}

/// What became of each run; empty where none has a document.
pub(super) fn results(turns: &[Turn], kept: &[Option<Kept>], width: usize) -> String {
    let left = Align::Left;
    let titles = ["scenario", "run", "req/s", "p50", "p99", "errors", "verdict", "document"];
    let align =
        |title: &str| if matches!(title, "scenario" | "verdict" | "document") { left } else { Align::Right };
    let rows = turns.iter().zip(kept).filter_map(|(turn, kept)| Some(row(turn, kept.as_ref()?)));
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    let folder = kept.iter().flatten().find_map(|kept| kept.path.parent()?.parent());
    let draw = |name: usize, file: usize| {
        let mut table = Table::new(titles.map(|title| (title, align(title))));
        for mut row in rows.clone() {
            row[0] = cut(&row[0], name);
            row[7] = tail(&row[7], file);
            table.push(row);
        }
        table.text()
    };
    let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let longest = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (mut name, mut file) = (longest(0), longest(7));
    let beyond = widest(&draw(name, file)).saturating_sub(width);
    let of_file = beyond.min(file.saturating_sub(FEWEST));
    file -= of_file;
    name = name.saturating_sub(beyond - of_file).max(FEWEST);
    let heading =
        folder.map_or_else(String::new, |folder| format!("documents in {}/SCENARIO\n", folder.display()));
    let lines: Vec<_> = draw(name, file).lines().map(|line| head(line, width)).collect();
    format!("{heading}{}\n", lines.join("\n"))
}

fn row(turn: &Turn, kept: &Kept) -> Vec<String> {
    let Kept { path, document, is_whole } = kept;
    let summary = Summary::of(document);
    let dash = || "-".to_owned();
    let (repeat, repeats) = turn.repeat;
    vec![
        turn.brief(),
        format!("{repeat}/{repeats}"),
        summary.rate().map_or_else(dash, units::rate),
        cell(&summary.latency, Percentile::P50),
        cell(&summary.latency, Percentile::P99),
        summary.errors.map_or_else(dash, units::count),
        outcome(document, &summary, *is_whole).to_owned(),
        path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    ]
}

/// What is to be thought of a run, in a word.
fn outcome(document: &Document, summary: &Summary, is_whole: bool) -> &'static str {
    match document {
        _ if !is_whole => "cut short",
        Document::Run(run) if Exit::of(run) == Exit::Broken => "FAILED",
        _ => warning::verdict(&warning::of(document, summary)).name(),
    }
}

/// Which runs of the series were not made, or cut short, which one could not be made, and how to go on. Empty where all have
/// come to their end.
pub(super) fn missing(turns: &[Turn], kept: &[Option<Kept>], failed: Option<usize>) -> String {
    let missing: Vec<_> = turns
        .iter()
        .zip(kept)
        .enumerate()
        .filter(|(_, (_, kept))| kept.as_ref().is_none_or(|kept| !kept.is_whole))
        .map(|(place, (turn, _))| (place, turn))
        .collect();
    if missing.is_empty() {
        return String::new();
    }
    let name = |(place, turn): &(usize, &Turn)| {
        // Why is the last thing that is said of the series.
        let failed = if failed == Some(*place) { ": could not be made" } else { "" };
        format!("  {}, repeat {} of {}{failed}\n", turn.brief(), turn.repeat.0, turn.repeat.1)
    };
    let more = missing.len().saturating_sub(MISSING);
    let more = if more > 0 { format!("  and {more} more\n") } else { String::new() };
    format!(
        "{} of {} runs are missing; the same command with --resume goes on with them:\n{}{more}",
        missing.len(),
        turns.len(),
        missing.iter().take(MISSING).map(name).collect::<String>()
    )
}

/// What would be run, in this order; those with a document already, by --resume, are not.
pub(super) fn plans(turns: &[Turn], kept: &[Option<Kept>]) -> String {
    let mut table = Table::new([
        ("run", Align::Right),
        ("scenario", Align::Left),
        ("repeat", Align::Right),
        ("plan", Align::Left),
        ("load", Align::Right),
        ("pause before", Align::Right),
        ("", Align::Left),
    ]);
    let mut left = Vec::new();
    for ((place, turn), kept) in turns.iter().enumerate().zip(kept) {
        let pause = if place == 0 { Duration::ZERO } else { turn.pause };
        let exists = kept.as_ref().map(|kept| format!("is there: {}", kept.path.display()));
        let requests =
            || format!("{} requests", turn.plan.pairs().get("load.requests").cloned().unwrap_or_default());
        table.push(vec![
            (place + 1).to_string(),
            turn.brief(),
            format!("{}/{}", turn.repeat.0, turn.repeat.1),
            turn.plan.key(),
            turn.load().map_or_else(requests, units::duration),
            if pause.is_zero() { String::new() } else { units::duration(pause) },
            exists.clone().unwrap_or_default(),
        ]);
        if exists.is_none() {
            left.push(Turn { pause, ..turn.clone() });
        }
    }
    let (timed, counted): (Vec<_>, Vec<_>) = left.into_iter().partition(|turn| turn.load().is_some());
    let time = about(Forecast::default().of(&timed).unwrap_or_default());
    let number = timed.len() + counted.len();
    let total = match (timed.len(), counted.len()) {
        (0, 0) => "nothing is left to run".to_owned(),
        (_, 0) => {
            format!("{}: {time}, and starting and stopping targets", units::counted(number as u64, "run"))
        }
        (0, _) => format!(
            "{}: nobody knows how long a number of requests takes",
            units::counted(number as u64, "run")
        ),
        (_, some) => format!(
            "{}: {time}, and {some} that end after a number of requests",
            units::counted(number as u64, "run")
        ),
    };
    format!("{}{total}; nothing was started\n", table.text())
}

/// The beginning of a text, so many characters long.
fn head(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// A text of at most so many characters, with a sign where its middle is left out: the end tells variants apart.
fn cut(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let end = (most - 1) * 2 / 3;
    let begin = most - 1 - end;
    format!("{}…{}", head(text, begin), text.chars().skip(length - end).collect::<String>())
}

/// The end of a text: that of a document's name tells runs apart.
fn tail(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    format!("…{}", text.chars().skip(length - (most - 1)).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_it_says_least() {
        assert_eq!(cut("scaling store=pool instances=4", 16), "scali…nstances=4");
        assert_eq!(tail("20261121T175937Z.json", 13), "…175937Z.json");
        assert_eq!((cut("short", 5), tail("short", 5)), ("short".to_owned(), "short".to_owned()));
    }
}
