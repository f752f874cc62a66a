//! How is a table drawn? The only user of tabled.

use tabled::builder::Builder;
use tabled::settings::style::HorizontalLine;
use tabled::settings::{Alignment, Modify, Padding, Style, object::Columns};

/// Where a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Titles and cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns and no rows.
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        let columns = columns.into_iter().map(|(title, align)| (title.to_owned(), align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, and cells beyond the last column are dropped.
    pub fn push(&mut self, mut cells: Vec<String>) {
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// For a terminal or a text file: columns two spaces apart, a line under the titles.
    pub fn text(&self) -> String {
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
}
