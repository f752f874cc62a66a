//! Which runs of a series have their documents already?

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use report::document::{Document, Ended};
use report::store;

use super::list::Kept;
use crate::series::Turn;

/// The documents of completed runs that are there already, by scenario and plan, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Existing(BTreeMap<(String, String), VecDeque<Kept>>);

impl Existing {
    /// Looks into the folders of these runs below `root`, which belongs to one machine.
    pub(super) fn find(root: &Path, machine: &str, turns: &[Turn]) -> anyhow::Result<Self> {
        let mut existing = Self::default();
        let names: BTreeSet<_> = turns.iter().map(|turn| turn.plan.name.as_str()).collect();
        for name in names {
            let folder = root.join(name);
            if !folder.is_dir() {
                continue;
            }
            for path in store::find(&[folder])?.documents {
                let document = store::open(&path)?;
                let Document::Run(run) = &document else { continue };
                let is_whole = run.ended == Ended::Completed;
                if is_whole && run.name == name && run.machine.label == machine {
                    let place = (name.to_owned(), run.plan_key.clone());
                    existing.0.entry(place).or_default().push_back(Kept { path, document, is_whole });
                }
            }
        }
        Ok(existing)
    }

    /// For each run the document that it needs not be made for: a plan with k documents has its first k repeats.
    pub(super) fn of(mut self, turns: &[Turn]) -> Vec<Option<Kept>> {
        let take = |turn: &Turn| self.0.get_mut(&(turn.plan.name.clone(), turn.plan.key()))?.pop_front();
        turns.iter().map(take).collect()
    }
}
