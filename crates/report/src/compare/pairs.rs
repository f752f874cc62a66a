//! Which runs of two rows belong together?

use super::row::Row;
use crate::document::Block;
use crate::stats::Design;

/// Runs of a base and a row that are held against each other, by their places; of a paired design, those at the same place
/// belong together.
pub(super) struct Pairs {
    pub(super) design: Design,
    base: Vec<usize>,
    row: Vec<usize>,
}

impl Pairs {
    /// By the blocks that both rows have recorded, where there are two of them or more: a run without its other half is left
    /// out then. Else all runs, which are pairs when they were interleaved.
    pub(super) fn of(base: &Row, row: &Row) -> Self {
        let blocks = common(base, row);
        if blocks.len() > 1 {
            let (base, row) = blocks.into_iter().unzip();
            return Self { design: Design::Paired, base, row };
        }
        Self { design: by_start(base, row), base: all(base), row: all(row) }
    }

    /// What is at the chosen places of the base and of the row.
    pub(super) fn pick<T: Copy>(&self, base: &[T], row: &[T]) -> (Vec<T>, Vec<T>) {
        let of = |places: &[usize], values: &[T]| {
            places.iter().filter_map(|&place| values.get(place).copied()).collect()
        };
        (of(&self.base, base), of(&self.row, row))
    }
}

fn all(row: &Row) -> Vec<usize> {
    (0..row.runs.len()).collect()
}

/// The places of the two runs of each block that both rows have.
fn common(base: &Row, row: &Row) -> Vec<(usize, usize)> {
    let place = |block: &Block| {
        let is_same = |other: &Block| (&other.batch, other.number) == (&block.batch, block.number);
        row.runs.iter().position(|run| run.block.as_ref().is_some_and(is_same))
    };
    let runs = base.runs.iter().enumerate();
    runs.filter_map(|(at, run)| Some((at, place(run.block.as_ref()?)?))).collect()
}

/// Interleaved runs are pairs: in the order of their start, every two neighbours are one of each.
fn by_start(base: &Row, row: &Row) -> Design {
    let of = |row: &Row, is_base: bool| {
        row.runs.iter().map(move |run| (run.started_at.clone(), is_base)).collect::<Vec<_>>()
    };
    let mut starts = [of(base, true), of(row, false)].concat();
    starts.sort();
    let is_block = |block: &[(String, bool)]| matches!(block, [first, second] if first.1 != second.1);
    let is_told = starts.windows(2).all(|two| two[0].0 != two[1].0);
    if is_told && starts.chunks(2).all(is_block) { Design::Paired } else { Design::Unpaired }
}
