//! `loadgen plan`, `scenarios` and `report`: nothing is measured here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::bail;
use report::store;
use report::table::{Align, Table};

use super::args::{PlanCommand, ReportCommand, ScenariosCommand, ScenariosWhat, Shown};
use super::exit::Exit;
use super::{history, load, output, replay};
use crate::options::TargetOptions;
use crate::plan::Plan;
use crate::scenario::{Scenario, ScenarioError, Variant, library};

/// Prints what would happen, as the document would record it.
pub(super) fn plan(command: PlanCommand) -> anyhow::Result<Exit> {
    let PlanCommand { what, load, target } = command;
    let mut text = String::new();
    let schema = super::schema();
    for what in &what {
        let path = Path::new(what);
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        let is_named = library::find(what).is_some();
        let is_file = path.exists() || is_named || is_toml && !what.contains("://");
        let plans = if is_file {
            replay::resolve(path, &schema, &target, &load)?.plans
        } else {
            anyhow::ensure!(
                target == TargetOptions::default(),
                "options of a target are for scenarios, which start one; {what} is a URL"
            );
            let plan = Plan::of_url(what.as_str(), load.clone(), load::surroundings())?;
            vec![(plan, Variant::default(), BTreeMap::new())]
        };
        for (plan, variant, _) in &plans {
            tell(plan, variant, &mut text);
        }
    }
    output::show(&text)?;
    Ok(Exit::Done)
}

/// Lists the scenarios of the library, or prints one.
pub(super) fn scenarios(command: &ScenariosCommand) -> anyhow::Result<Exit> {
    let schema = super::schema();
    match &command.what {
        Some(ScenariosWhat::Show { name }) => {
            let text = library::find(name).ok_or_else(|| ScenarioError::Unknown(name.clone()))?;
            output::show(text)?;
            return Ok(Exit::Done);
        }
        Some(ScenariosWhat::Schema) => {
            output::show(&schema.to_json())?;
            return Ok(Exit::Done);
        }
        None => {}
    }
    let mut table = Table::new([("scenario", Align::Left), ("what it is for", Align::Left)]);
    for (name, _) in library::LIBRARY {
        let read = Scenario::read(Path::new(name), &schema)?;
        let description = read.scenarios.first().map(|(scenario, _)| scenario.description.clone());
        table.push(vec![name.to_owned(), description.unwrap_or_default()]);
    }
    output::show(&table.text())?;
    Ok(Exit::Done)
}

/// One plan, as the document would record it.
fn tell(plan: &Plan, variant: &Variant, text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
    let special = if variant.is_empty() { String::new() } else { format!("; {variant}") };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# {} (plan {}{special})", plan.name, plan.key());
    for (key, value) in plan.pairs() {
        let _ = writeln!(text, "{key} = {value}");
    }
    for asserted in &plan.assertions {
        let skipped = asserted.skipped.map(|why| format!(" (not judged: {why})")).unwrap_or_default();
        let _ = writeln!(text, "assert {}{skipped}", asserted.assertion);
    }
}

/// Renders stored documents.
pub(super) fn report(command: &ReportCommand) -> anyhow::Result<Exit> {
    let Shown::Report(format) = command.output.shown() else {
        bail!("a document holds no rows: -o csv is for the run itself, while it goes on");
    };
    for file in history::resolve(&command.files)? {
        let document = store::open(&file)?;
        output::show(&output::render(&document, format, command.output.percentiles()))?;
    }
    Ok(Exit::Done)
}
