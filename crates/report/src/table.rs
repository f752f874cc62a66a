//! How is a table drawn, and how does it fit where it is read? The only user of tabled.

use std::collections::BTreeMap;

use tabled::builder::Builder;
use tabled::settings::style::HorizontalLine;
use tabled::settings::{Alignment, Color, Modify, Padding, Style, object::Columns};

/// Labels are wrapped down to so many characters before a column is left out.
const NARROW_LABEL: usize = 14;
/// And down to so many when no more columns may be left out.
const NARROWEST_LABEL: usize = 8;
/// Between two columns.
const GAP: usize = 2;

/// Where a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words. They may be wrapped.
    Left,
    /// Numbers.
    Right,
}

/// What a cell says at a glance, where colour is welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Better than it was.
    Good,
    /// Worse, within what is tolerated.
    Doubtful,
    /// Worse.
    Bad,
}

/// Where a text is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Page {
    /// Columns. `None`: as wide as it takes.
    pub width: Option<usize>,
    /// Whether escape sequences for colour are welcome.
    pub colour: bool,
}

/// A table as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// The table.
    pub text: String,
    /// The titles of the columns for which there was no room.
    pub left_out: Vec<String>,
}

/// Titles and cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    tones: BTreeMap<(usize, usize), Tone>,
    /// Columns that may be left out, the first of them first.
    spare: Vec<usize>,
}

impl Table {
    /// A table with these columns and no rows.
    pub fn new<T: Into<String>>(columns: impl IntoIterator<Item = (T, Align)>) -> Self {
        let columns = columns.into_iter().map(|(title, align)| (title.into(), align)).collect();
        Self { columns, rows: Vec::new(), tones: BTreeMap::new(), spare: Vec::new() }
    }

    /// Adds a row; missing cells are empty, and cells beyond the last column are dropped.
    pub fn push(&mut self, mut cells: Vec<String>) {
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// Gives the last cell of a column a tone.
    pub fn tint_last(&mut self, title: &str, tone: Tone) {
        let column = self.columns.iter().position(|(name, _)| name == title);
        if let (Some(column), Some(row)) = (column, self.rows.len().checked_sub(1)) {
            self.tones.insert((row, column), tone);
        }
    }

    /// Names columns that may be left out where there is no room, the first of them first.
    pub fn spare(&mut self, titles: &[&str]) {
        let place = |title: &&str| self.columns.iter().position(|(name, _)| name == title);
        self.spare = titles.iter().filter_map(place).collect();
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// For a terminal or a text file: columns two spaces apart, a line under the titles.
    pub fn text(&self) -> String {
        self.drawn(false)
    }

    /// The same on a page: labels are wrapped, and then columns are left out, until the table is no wider.
    pub fn fitted(&self, page: Page) -> Fitted {
        let Some(width) = page.width else {
            return Fitted { text: self.drawn(page.colour), left_out: Vec::new() };
        };
        let mut left_out: Vec<usize> = Vec::new();
        let mut spare = self.spare.iter();
        let labels = loop {
            match (self.label_widths(width, &left_out, NARROW_LABEL), spare.next()) {
                (Ok(labels), _) => break labels,
                (Err(_), Some(&column)) => left_out.push(column),
                (Err(_), None) => {
                    let narrowest = self.label_widths(width, &left_out, NARROWEST_LABEL);
                    break narrowest.unwrap_or_else(|labels| labels);
                }
            }
        };
        left_out.sort_unstable();
        let titles = left_out.iter().map(|&column| self.columns[column].0.clone()).collect();
        Fitted { text: self.narrowed(&labels, &left_out).drawn(page.colour), left_out: titles }
    }

    /// How wide each column may be, without those left out. An error has the narrowest there is.
    fn label_widths(
        &self,
        width: usize,
        left_out: &[usize],
        narrow: usize,
    ) -> Result<Vec<usize>, Vec<usize>> {
        let natural = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].as_str());
            cells.chain([self.columns[column].0.as_str()]).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.columns.len())
            .map(|column| if left_out.contains(&column) { 0 } else { natural(column) })
            .collect();
        // The line under the titles reaches one character further than the last column.
        let gaps = (GAP * (self.columns.len() - left_out.len())).saturating_sub(1);
        loop {
            if widths.iter().sum::<usize>() + gaps <= width {
                return Ok(widths);
            }
            let labels = self.columns.iter().zip(&mut widths).filter(|((_, align), _)| *align == Align::Left);
            match labels.map(|(_, width)| width).max().filter(|widest| **widest > narrow) {
                Some(widest) => *widest -= 1,
                None => return Err(widths),
            }
        }
    }

    fn narrowed(&self, widths: &[usize], left_out: &[usize]) -> Self {
        let kept: Vec<usize> = (0..self.columns.len()).filter(|column| !left_out.contains(column)).collect();
        let mut narrowed = Self::new(kept.iter().map(|&column| self.columns[column].clone()));
        for (number, row) in self.rows.iter().enumerate() {
            narrowed.rows.push(
                kept.iter()
                    .map(|&column| match self.columns[column].1 {
                        Align::Left => wrapped(&row[column], widths[column]).join("\n"),
                        Align::Right => row[column].clone(),
                    })
                    .collect(),
            );
            for (place, &column) in kept.iter().enumerate() {
                if let Some(&tone) = self.tones.get(&(number, column)) {
                    narrowed.tones.insert((number, place), tone);
                }
            }
        }
        narrowed
    }

    fn drawn(&self, colour: bool) -> String {
        let mut builder = Builder::with_capacity(self.rows.len() + 1, self.columns.len());
        builder.push_record(self.columns.iter().map(|(title, _)| title.as_str()));
        for row in &self.rows {
            builder.push_record(row.iter().map(String::as_str));
        }
        let mut table = builder.build();
        let line = HorizontalLine::new('-').intersection('-');
        table.with(Style::empty().vertical(' ').horizontals([(1, line)])).with(Padding::new(0, 1, 0, 0));
        for (column, (_, align)) in self.columns.iter().enumerate() {
            let alignment = match align {
                Align::Left => Alignment::left(),
                Align::Right => Alignment::right(),
            };
            table.with(Modify::new(Columns::one(column)).with(alignment));
        }
        for (&(row, column), tone) in self.tones.iter().filter(|_| colour) {
            let colour = match tone {
                Tone::Good => Color::FG_GREEN,
                Tone::Doubtful => Color::FG_YELLOW,
                Tone::Bad => Color::FG_RED,
            };
            table.with(Modify::new((row + 1, column)).with(colour));
        }
        let lines: Vec<String> = table.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n") + "\n"
    }

    /// For a page or a pull request.
    pub fn markdown(&self) -> String {
        let rule = |align: Align| match align {
            Align::Left => "---",
            Align::Right => "---:",
        };
        let titles = self.columns.iter().map(|(title, _)| title.as_str());
        let mut out =
            markdown_row(titles) + &markdown_row(self.columns.iter().map(|&(_, align)| rule(align)));
        for row in &self.rows {
            out += &markdown_row(row.iter().map(String::as_str));
        }
        out
    }
}

fn markdown_row<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.map(markdown_cell).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// Text that others wrote must not open cells or tags of its own.
pub(crate) fn markdown_cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

/// A text in lines of at most so many characters: broken after spaces, hyphens and commas, and within longer words.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    for word in text.split_inclusive([' ', '-', ',']) {
        let length = |text: &str| text.chars().count();
        let room = |lines: &[String]| width.saturating_sub(lines.last().map_or(0, |line| length(line)));
        if length(word.trim_end()) > room(&lines) && lines.last().is_some_and(|line| !line.is_empty()) {
            lines.push(String::new());
        }
        for c in word.chars() {
            if room(&lines) == 0 && c != ' ' {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new([("name", Align::Left), ("req/s", Align::Right)]);
        table.push(vec!["a|b".into(), "563.2".into()]);
        table.push(vec!["longer name".into(), "12".into(), "dropped".into()]);
        table.push(vec!["none".into()]);
        table
    }

    #[test]
    fn text() {
        let expected = "\
name         req/s
-------------------
a|b          563.2
longer name     12
none
";
        assert_eq!(sample().text(), expected);
    }

    #[test]
    fn markdown() {
        let expected = "\
| name | req/s |
| --- | ---: |
| a\\|b | 563.2 |
| longer name | 12 |
| none |  |
";
        assert_eq!(sample().markdown(), expected);
    }

    #[test]
    fn words_are_wrapped_where_they_can_be() {
        let cases = [
            ("published-2vcpu (1)", 14, vec!["published-", "2vcpu (1)"]),
            ("short", 14, vec!["short"]),
            ("abcdefghij", 4, vec!["abcd", "efgh", "ij"]),
            ("", 4, vec![""]),
            ("a, b, c", 4, vec!["a,", "b, c"]),
            ("four four", 4, vec!["four", "four"]),
        ];
        for (text, width, expected) in cases {
            let lines = wrapped(text, width);
            assert_eq!(lines, expected, "{text}");
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:?}");
        }
    }

    #[test]
    fn a_table_fits_its_page() {
        let mut table = Table::new([
            ("scenario", Align::Left),
            ("machine", Align::Left),
            ("conns", Align::Right),
            ("req/s", Align::Right),
        ]);
        table.push(vec![
            "4-instances (target.store=group)".into(),
            "published-2vcpu (1)".into(),
            "100".into(),
            "563.2".into(),
        ]);
        table.spare(&["conns", "no such"]);
        let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
        let natural = widest(&table.text());
        for (width, left_out) in [(natural, 0), (60, 0), (45, 0), (44, 1), (39, 1)] {
            let fitted = table.fitted(Page { width: Some(width), colour: false });
            assert_eq!(fitted.left_out.len(), left_out, "{width}\n{}", fitted.text);
            assert!(widest(&fitted.text) <= width, "{width}\n{}", fitted.text);
        }
        assert_eq!(table.fitted(Page::default()).text, table.text(), "no width, no change");
        let hopeless = table.fitted(Page { width: Some(5), colour: false });
        assert!(hopeless.text.contains("563.2"), "{}", hopeless.text);
    }

    #[test]
    fn colour_is_only_where_it_is_welcome() {
        let mut table = sample();
        table.tint_last("req/s", Tone::Bad);
        table.tint_last("no such", Tone::Bad);
        assert!(!table.text().contains('\u{1b}'));
        let text = table.fitted(Page { width: Some(80), colour: true }).text;
        assert_eq!(text.matches("\u{1b}[31m").count(), 1, "{text:?}");
    }
}
